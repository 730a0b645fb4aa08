// @modelcontextprotocol/client, the second TypeScript SDK.
// Usage: node client-v2.mjs MCP_URL [REVISION|auto]
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { run } from './flow.mjs';

const revision = process.argv[3] ?? 'auto';
let options = { versionNegotiation: { mode: 'auto' } };
if (revision.startsWith('2026')) {
  options = { versionNegotiation: { mode: { pin: revision } } };
} else if (revision !== 'auto') {
  options = { supportedProtocolVersions: [revision] };
}

await run({
  newClient: () => new Client({ name: 'e2e-client-v2', version: '1' }, options),
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params),
});
