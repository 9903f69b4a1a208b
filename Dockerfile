# One image for every role: `serve --role api`, `serve --role worker`, and the services of the local stack.

# The manifests alone, so that packages are fetched anew only when one of them changes.
FROM node:22.11.0-slim AS manifests
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
COPY packages/core/package.json packages/core/
COPY packages/notifier/package.json packages/notifier/
COPY packages/redis-adapter/package.json packages/redis-adapter/
COPY packages/ws-server/package.json packages/ws-server/
COPY packages/cli/package.json packages/cli/
COPY examples/local-stack/package.json examples/local-stack/
COPY bench/package.json bench/
COPY test-servers/package.json test-servers/

FROM manifests AS build
RUN npm ci --ignore-scripts
COPY tsconfig.base.json ./
COPY packages packages
COPY examples/local-stack examples/local-stack
RUN npx tsc -b packages/core && node packages/redis-adapter/build/embed.mjs && npx tsc -b packages/cli

# What runs needs no compiler, no test runner and no benchmark.
FROM manifests AS dependencies
RUN npm ci --ignore-scripts --omit=dev --workspace packages/cli

FROM node:22.11.0-slim
ENV NODE_ENV=production ORCHESTRATOR_HOST=0.0.0.0 ORCHESTRATOR_PORT=8000 ORCHESTRATOR_STORAGE=file:/data
WORKDIR /app
COPY --from=dependencies /app .
COPY --from=build /app/packages packages
COPY --from=build /app/examples/local-stack examples/local-stack
# What the next process goes on with: mount a volume.
RUN mkdir /data && chown node:node /data
USER node
EXPOSE 8000
# Whether the process answers. Whether it makes progress is /health/ready, for a load balancer: a storage that is away is no reason
# to restart it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ORCHESTRATOR_PORT}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/packages/cli/bin/orchestrator-cli.mjs"]
CMD ["serve"]
