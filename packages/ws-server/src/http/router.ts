import type { RouteLabel } from '../metrics/route-label.js';
import { OrchestratorError } from '@agent-orchestrator/core';
import { validate } from '@agent-orchestrator/core/protocol';
import type { z } from 'zod';
import { PATH_PARAMETERS } from './path-params.js';
import type { Route } from './route.js';

interface Compiled {
  readonly path: string;
  readonly parts: readonly string[];
  readonly routes: Map<string, Route>;
}

/** Result of matching a request. */
export type Match =
  | { readonly found: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly found: 'path'; readonly allow: string }
  | { readonly found: 'nothing' };

/** A route's type admits only these names. */
const SCHEMAS: Readonly<Record<string, z.ZodType<string> | undefined>> = PATH_PARAMETERS;

const NO_ROUTE: RouteLabel = { method: 'any', route: 'none' };

/** Finds the route of a method and a path; HEAD uses the route of GET. Literal parts win over parameters. */
export class Router {
  readonly #compiled: readonly Compiled[];

  constructor(routes: readonly Route[]) {
    const byPath = new Map<string, Compiled>();
    for (const route of routes) {
      const compiled = byPath.get(route.path) ?? {
        path: route.path,
        parts: partsOf(route.path),
        routes: new Map<string, Route>(),
      };
      compiled.routes.set(route.method, route);
      byPath.set(route.path, compiled);
    }
    this.#compiled = [...byPath.values()];
  }

  /**
   * @param path without the query.
   * @throws {OrchestratorError} `invalid_request` for an invalid path parameter.
   */
  match(method: string, path: string): Match {
    const parts = partsOf(path);
    const compiled = this.#compiled.find((candidate) => fits(candidate.parts, parts));
    if (!compiled) return { found: 'nothing' };
    const route = compiled.routes.get(method === 'HEAD' ? 'GET' : method);
    if (!route) return { found: 'path', allow: methodsOf(compiled).join(', ') };
    return { found: 'route', route, params: paramsOf(compiled.parts, parts) };
  }

  /** Labels are bounded by the number of routes, for any input. */
  label(method: string, path: string): RouteLabel {
    const parts = partsOf(path);
    const compiled = this.#compiled.find((candidate) => fits(candidate.parts, parts));
    if (!compiled) return NO_ROUTE;
    return { method: methodsOf(compiled).includes(method) ? method : 'other', route: compiled.path };
  }

  /** Whether a path has only routes without a credential, such as health checks. */
  isPublic(path: string): boolean {
    const parts = partsOf(path);
    const compiled = this.#compiled.find((candidate) => fits(candidate.parts, parts));
    return compiled !== undefined && [...compiled.routes.values()].every(({ who }) => who === 'public');
  }

  /** Whether a route has this path, with any method. */
  knows(path: string): boolean {
    const parts = partsOf(path);
    return this.#compiled.some((candidate) => fits(candidate.parts, parts));
  }
}

/** Methods of a path. HEAD goes with GET (RFC 9110, 9.3.2). */
function methodsOf({ routes }: Compiled): readonly string[] {
  const methods = [...routes.keys()];
  return routes.has('GET') ? [...methods, 'HEAD'] : methods;
}

function partsOf(path: string): readonly string[] {
  return path.split('/').slice(1);
}

function isParameter(part: string): boolean {
  return part.startsWith('{');
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  if (pattern.length !== parts.length) return false;
  return pattern.every((part, index) => (isParameter(part) ? parts[index] !== '' : part === parts[index]));
}

function paramsOf(pattern: readonly string[], parts: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (!isParameter(part)) continue;
    const name = part.slice(1, -1);
    const schema = SCHEMAS[name];
    if (!schema) throw new Error(`the parameter ${name} has no schema`);
    params[name] = validate(schema, decode(parts[index] ?? ''), name);
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new OrchestratorError(
      'invalid_request',
      'the path: expected percent-encoded UTF-8, got something else',
    );
  }
}
