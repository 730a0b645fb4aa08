// @modelcontextprotocol/sdk, the first TypeScript SDK.
// Usage: node sdk-v1.mjs MCP_URL
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { run } from './flow.mjs';

await run({
  newClient: () => new Client({ name: 'e2e-sdk-v1', version: '1' }),
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params.get('code')),
});
