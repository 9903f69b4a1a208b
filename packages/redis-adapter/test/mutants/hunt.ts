import {
  type ConformanceCase,
  runCase,
  storageConformance,
  titleOf,
} from '@agent-orchestrator/core/conformance';
import { RedisCluster, RedisServer } from '@agent-orchestrator/test-servers';
import { vi } from 'vitest';
import { type OpenSubject, runSideBySide } from '../../../core/test/task-histories.js';
import { KEPT_FOR_EVER, openReference } from '../../../core/test/reference.js';
import type { openStorage } from '../storage-under-test.js';
import { type Mutant, withMistake } from './mutants.js';

/** A longer case waits for what never happens, or keeps the server in a loop. */
const TOO_LONG_MS = 3_000;
const HISTORIES_TOO_LONG_MS = 60_000;
const BUILD = 'the build, which parses the scripts';
const HISTORIES = 'random histories, beside the reference in memory';
/** Scripts used on a Cluster only. */
const CLUSTER_ONLY =
  /\/(?:claim_from_tenant|join_rotations|advance_rotation|swept_tenant|index_tenant)\.lua$/;
/** Scripts used on one server only, where the shared keys are beside those of tenants. */
const ONE_SERVER_ONLY = /\/(?:claim|lib\/(?:rotation_order|waiting_claims|task_handover))\.lua$/;

type Open = typeof openStorage;

/** Finds a case that fails with a mutant, on servers that are replaced when a mutant has blocked them. */
export class Hunt implements AsyncDisposable {
  #server: RedisServer | undefined;
  #cluster: RedisCluster | undefined;
  /** The case that killed the last mutant of a file is likely to kill the next one. */
  readonly #lastFound = new Map<string, ConformanceCase>();

  /** Title of a failing case; nothing when all pass. */
  async find(mutant: Mutant): Promise<string | undefined> {
    const scripts = withMistake(mutant);
    if (!scripts) return BUILD;
    vi.resetModules();
    vi.doMock('../../src/generated/scripts.js', () => ({ SCRIPTS: scripts }));
    const { openStorage: open } = await import('../storage-under-test.js');
    const isClusterOnly = CLUSTER_ONLY.test(mutant.file);
    const deployments = isClusterOnly ? [true] : ONE_SERVER_ONLY.test(mutant.file) ? [false] : [false, true];
    for (const onCluster of deployments) {
      const found = await this.#caseAgainst(mutant, open, onCluster);
      if (found) return found;
    }
    return (await this.#hasSameHistories(open, isClusterOnly)) ? undefined : HISTORIES;
  }

  async #caseAgainst({ file }: Mutant, open: Open, onCluster: boolean): Promise<string | undefined> {
    const last = this.#lastFound.get(file);
    for (const one of last ? [last, ...storageConformance] : storageConformance) {
      if (await this.#passes(one, open, onCluster)) continue;
      this.#lastFound.set(file, one);
      return onCluster ? `${titleOf(one)}, on a Cluster` : titleOf(one);
    }
    return undefined;
  }

  /** Whether random histories have the same answers as in memory. */
  async #hasSameHistories(open: Open, onCluster: boolean): Promise<boolean> {
    const target = await this.#target(onCluster);
    const mistaken: OpenSubject = async () => open(target, { limits: KEPT_FOR_EVER });
    const sides = [openReference, mistaken] as const;
    const histories = runSideBySide({ open: sides, numRuns: 80, seed: 1, shrink: false, batches: true });
    return (await this.#withTimeout(histories, HISTORIES_TOO_LONG_MS)) === 'passed';
  }

  async #passes(one: ConformanceCase, open: Open, onCluster: boolean): Promise<boolean> {
    const subject = open(await this.#target(onCluster));
    const end = await this.#withTimeout(runCase(one, subject), TOO_LONG_MS);
    await subject.close();
    return end === 'passed';
  }

  async #withTimeout(work: Promise<unknown>, ms: number): Promise<'passed' | 'failed' | 'too long'> {
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<'too long'>((resolve) => {
      timer = setTimeout(() => resolve('too long'), ms);
    });
    const ended = work.then(
      () => 'passed' as const,
      () => 'failed' as const,
    );
    const end = await Promise.race([ended, tooLong]);
    clearTimeout(timer);
    if (end === 'too long') await this.#replaceServers();
    return end;
  }

  async #target(onCluster: boolean): Promise<Parameters<Open>[0]> {
    if (!onCluster) return (this.#server ??= await RedisServer.start()).url;
    this.#cluster ??= await RedisCluster.start();
    return { nodes: this.#cluster.nodes };
  }

  async #replaceServers(): Promise<void> {
    const [server, cluster] = [this.#server, this.#cluster];
    this.#server = undefined;
    this.#cluster = undefined;
    await Promise.all([server?.stop(), cluster?.stop()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replaceServers();
  }
}
