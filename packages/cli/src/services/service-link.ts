import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type RawData, WebSocket } from 'ws';
import { readAck, readReport, type Report, unreadableReport } from './report.js';

/** Fate of a report on its way to the hub. */
export type Fate = Report['fate'];

/** Owner of a link. */
export interface LinkOwner {
  /** Name at the hub for the name in the hello. */
  nameFor(said: unknown): unknown;
  /** Records a report, and decides its fate. */
  fateOf(report: Report): Fate;
  /** Called after a change of state. */
  changed(): void;
  /** Breaks the connections instead of an ack. */
  cut(): void;
}

/** `retry_after_ms` of a deferred report. */
export const PUT_OFF_MS = 1_000;
const NO_CODE = new Set([1004, 1005, 1006, 1015]);

/**
 * A service's socket, relayed to the real hub and recorded. States: dialling (the hub), open, closed. Frames
 * are unchanged but for two: where any name will do, the service's own is replaced by the one the hub knows;
 * and a valid notification without `message_id` gets one, and its ack is withheld, to learn the hub's
 * verdict.
 */
export class ServiceLink {
  /** First frame of the service, unless it sent an `Authorization` header. */
  hello: string | undefined;
  admitted = false;
  /** The hub's reason for refusing it. */
  refusal: string | undefined;
  closed = false;
  pongs = 0;
  /** Calls that the hub has cancelled. */
  readonly givenUp = new Set<unknown>();
  readonly #near: WebSocket;
  readonly #far: WebSocket;
  readonly #owner: LinkOwner;
  readonly #byId = new Map<string, Report>();
  /** Ids added by this relay. */
  readonly #given = new Set<string>();
  #waiting: { readonly data: RawData; readonly isBinary: boolean }[] = [];
  #greeted: boolean;

  constructor(near: WebSocket, request: IncomingMessage, hubUrl: string, owner: LinkOwner) {
    const { authorization } = request.headers;
    this.#near = near;
    this.#owner = owner;
    this.#greeted = authorization !== undefined;
    this.#far = new WebSocket(`${hubUrl.replace(/^http/, 'ws')}/ws/task_updates`, {
      perMessageDeflate: false,
      ...(authorization !== undefined && { headers: { authorization } }),
    });
    near.on('message', (data, isBinary) => this.#fromService(data, isBinary));
    near.on('pong', () => {
      this.pongs += 1;
      owner.changed();
    });
    this.#far.on('open', () => {
      for (const { data, isBinary } of this.#waiting.splice(0)) this.#far.send(data, { binary: isBinary });
    });
    this.#far.on('message', (data) => this.#fromHub((data as Buffer).toString()));
    for (const [one, other] of [
      [near, this.#far],
      [this.#far, near],
    ] as const) {
      // A close follows.
      one.on('error', () => {});
      one.once('close', (code, reason) => {
        if (other.readyState === WebSocket.OPEN && !NO_CODE.has(code)) other.close(code, reason);
        else other.terminate();
        this.closed = true;
        owner.changed();
      });
    }
  }

  get isOpen(): boolean {
    return this.admitted && !this.closed;
  }

  ping(): void {
    this.#near.ping();
  }

  /** Destroys the socket. */
  terminate(): void {
    this.#near.terminate();
    this.#far.terminate();
  }

  #fromService(data: RawData, isBinary: boolean): void {
    if (isBinary) {
      this.#owner.fateOf(unreadableReport('a binary one'));
      this.#toHub(data, true);
    } else if (this.#greeted) {
      this.#report((data as Buffer).toString());
    } else {
      this.#greeted = true;
      this.#hello((data as Buffer).toString());
    }
  }

  #hello(text: string): void {
    this.hello = text;
    const { frame } = readReport(text, 'socket');
    const known = frame && { ...frame, service_name: this.#owner.nameFor(frame['service_name']) };
    this.#toHub(known ? JSON.stringify(known) : text);
  }

  #report(text: string): void {
    const report = readReport(text, 'socket');
    report.fate = this.#owner.fateOf(report);
    if (report.fate === 'cut') {
      this.#owner.cut();
    } else if (report.fate === 'put_off') {
      const { messageId: message_id } = report;
      const ack = { event: 'ack', message_id, outcome: 'retry_later', retry_after_ms: PUT_OFF_MS };
      this.#near.send(JSON.stringify(ack));
    } else {
      this.#passOn(report, text);
    }
  }

  #passOn(report: Report, text: string): void {
    const { frame, issues } = report;
    if (!frame || issues.length > 0) {
      this.#toHub(text);
      return;
    }
    const id = report.messageId ?? randomUUID();
    if (report.messageId === undefined) this.#given.add(id);
    this.#byId.set(id, report);
    const service = this.#owner.nameFor(frame['service']);
    const unchanged = service === frame['service'] && report.messageId !== undefined;
    this.#toHub(unchanged ? text : JSON.stringify({ ...frame, service, message_id: id }));
  }

  #fromHub(text: string): void {
    const ack = readAck(text);
    const report = ack && this.#byId.get(ack.message_id);
    if (ack && report) {
      report.outcome = ack.outcome;
      if (!this.#given.has(ack.message_id)) this.#near.send(text);
    } else {
      this.#near.send(text);
      if (this.admitted) this.#readCancel(text);
      else this.#readAnswer(text);
    }
    this.#owner.changed();
  }

  #readCancel(text: string): void {
    const { event, call_id: callId } = JSON.parse(text) as {
      readonly event?: string;
      readonly call_id?: string;
    };
    if (event === 'task_cancel') this.givenUp.add(callId);
  }

  #readAnswer(text: string): void {
    const answer = JSON.parse(text) as { readonly status?: string; readonly message?: string };
    if (answer.status === 'authenticated') this.admitted = true;
    if (answer.status === 'unauthorized') this.refusal = answer.message ?? 'no reason given';
  }

  #toHub(data: RawData | string, isBinary = false): void {
    if (this.#far.readyState === WebSocket.OPEN) this.#far.send(data, { binary: isBinary });
    else this.#waiting.push({ data: Buffer.from(data as Buffer), isBinary });
  }
}
