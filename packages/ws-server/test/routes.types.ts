/** Type tests: what must compile, and, after `@ts-expect-error`, what must not. Checked with the types of all tests. */
import { z } from 'zod';
import { json, type Route, route } from '../src/http/route.js';

/** Assignable to each other, and neither is `any`. */
type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? IsAny<A> extends IsAny<B>
      ? true
      : false
    : false
  : false;
type IsAny<T> = 0 extends 1 & T ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const about = { method: 'GET', summary: '' } as const;
const task = { ...about, who: 'client', scope: 'tasks' } as const;

export const routes: readonly Route[] = [
  route({
    ...about,
    path: '/v1/tasks/{task_id}',
    who: 'client',
    scope: 'tasks',
    handle({ params, caller, tenant, body, query }) {
      same<typeof params, { readonly task_id: string }>(true);
      same<[typeof caller.kind, typeof tenant.tenantId], ['client', string]>(true);
      same<typeof body, unknown>(true);
      same<typeof query, unknown>(true);
      // @ts-expect-error a parameter that the path does not have
      return json(200, { id: params.tsk_id });
    },
  }),
  route({
    ...about,
    path: '/internal/v1/services/{service}/{operation}',
    who: 'service',
    body: z.object({ input: z.number() }),
    handle(context) {
      same<typeof context.params, { readonly service: string; readonly operation: string }>(true);
      same<typeof context.body, { input: number }>(true);
      // @ts-expect-error a service has no tenant of its own
      return json(200, { tenant: context.tenant });
    },
  }),
  route({
    ...about,
    path: '/health/live',
    who: 'public',
    query: z.object({ limit: z.string().transform(Number) }),
    handle({ params, query }) {
      same<keyof typeof params, never>(true);
      same<typeof query, { limit: number }>(true);
      // @ts-expect-error a path without parameters
      return json(200, { id: params.task_id });
    },
  }),
  route({
    ...about,
    path: '/admin/v1/tenants/{tenant_id}',
    who: 'operator',
    async handle({ params, caller, admin, ...context }) {
      same<typeof params, { readonly tenant_id: string }>(true);
      same<typeof caller.kind, 'operator'>(true);
      // @ts-expect-error an operator has no tenant of its own
      return json(200, { tenant: context.tenant, ...(await admin.tenant(params.tenant_id)) });
    },
  }),
  // @ts-expect-error a parameter without a schema
  route({ ...task, path: '/v1/tasks/{tsk_id}', handle: () => json(200, {}) }),
  // @ts-expect-error the second of two parameters has none
  route({ ...task, path: '/v1/{task_id}/{nam}', handle: () => json(200, {}) }),
  // @ts-expect-error a route of clients without a scope
  route({ ...about, path: '/v1/tasks', who: 'client', handle: () => json(200, {}) }),
  // @ts-expect-error a scope that there is not
  route({ ...about, path: '/v1/tasks', who: 'client', scope: 'task', handle: () => json(200, {}) }),
  // @ts-expect-error only clients have scopes
  route({ ...about, path: '/health/live', who: 'public', scope: 'chat', handle: () => json(200, {}) }),
];
