import { findOrInstall, programOnPath } from './debian-package.js';

/**
 * Path of `promtool`, which checks rules of Prometheus; as root on Debian it is installed with Prometheus.
 *
 * @throws {Error} that says what to install.
 */
export function findPromtool(): Promise<string> {
  return findOrInstall({
    debianPackage: 'prometheus',
    find: (path) => programOnPath('promtool', path),
    missing: (why) =>
      `the tests need Prometheus: expected promtool and prometheus, ${why}. Install Prometheus.`,
  });
}
