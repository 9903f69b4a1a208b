import { parentPort, workerData } from 'node:worker_threads';
import { openFolder } from './disk.js';
import { snapshotOfFiles, type SnapshotRequest } from './snapshots.js';

/** A thread that writes one snapshot, and answers with its size in bytes. */
const { folder, number } = workerData as SnapshotRequest;
parentPort?.postMessage(await snapshotOfFiles(await openFolder(folder), folder, number));
