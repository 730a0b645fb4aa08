// A server of fastmcp that checks an API key by itself. Like everything behind
// mcp-proxy, whose HTTP side it uses, it answers 401 to a session that it does
// not know, as after a restart.
// Usage: node fastmcp-server.mjs PORT KEY
import { FastMCP } from 'fastmcp';

const [port, key] = process.argv.slice(2);
const server = new FastMCP({
  name: 'fastmcp e2e',
  version: '1.0.0',
  authenticate: async (request) => {
    if (request?.headers?.authorization !== `Bearer ${key}`) {
      throw new Response(null, { status: 401, statusText: 'Unauthorized' });
    }
    return { user: 'e2e' };
  },
});
server.addTool({
  name: 'text',
  description: 'Answers',
  annotations: { readOnlyHint: true },
  execute: async () => 'an answer with “quotes” – and ümlauts',
});
server.addTool({
  name: 'test_simple_text',
  description: 'Tells which process answers',
  execute: async () => `process ${process.pid}`,
});
server.addTool({
  name: 'progress',
  description: 'Reports progress',
  execute: async (_, { reportProgress, log }) => {
    log.info('begins', { of: 4 });
    for (let i = 1; i <= 4; i++) {
      await reportProgress({ progress: i, total: 4 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return 'done';
  },
});
server.addTool({
  name: 'elicit',
  description: 'Asks the user',
  execute: async (_, { elicit }) =>
    JSON.stringify(
      await elicit({
        mode: 'form',
        message: 'Which color?',
        requestedSchema: { type: 'object', properties: { color: { type: 'string' } }, required: ['color'] },
      }),
    ),
});
await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port: Number(port), endpoint: '/mcp' } });
