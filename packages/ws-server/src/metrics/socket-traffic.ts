import { ACK_OUTCOMES, type AckOutcome } from '@agent-orchestrator/core/protocol';

export type SocketKind = 'client' | 'service';

/** Traffic counters of a server's sockets as plain numbers: they are updated for every frame. */
export class SocketTraffic {
  readonly open: Record<SocketKind, number> = { client: 0, service: 0 };
  readonly frames: Record<SocketKind, number> = { client: 0, service: 0 };
  eventsSent = 0;
  readonly acks = Object.fromEntries(ACK_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    AckOutcome,
    number
  >;
}
