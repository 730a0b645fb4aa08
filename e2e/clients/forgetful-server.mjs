// A server of mcp-proxy, in a version that answers 401 instead of 404 to a
// session that it does not know, as after a restart. It prints nothing.
// Usage: node forgetful-server.mjs PORT KEY
import { startHTTPServer } from 'mcp-proxy';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';

const [port, key] = process.argv.slice(2);

await startHTTPServer({
  host: '127.0.0.1',
  port: Number(port),
  sseEndpoint: null,
  modern: false,
  authenticate: async (request) => request.headers.authorization === `Bearer ${key}`,
  createServer: async () => {
    const server = new McpServer({ name: 'forgetful', version: '1' });
    server.registerTool('test_simple_text', { description: 'Answers' }, async () => ({
      content: [{ type: 'text', text: `process ${process.pid}` }],
    }));
    return server;
  },
});
