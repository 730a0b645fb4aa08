// What both official TypeScript clients do here. The Go test that runs the
// script reads its lines, each a JSON object, plays the user in the browser,
// and writes a line when the script shall go on.
//
//   {"authorize": URL}            somebody must approve at URL
//   {"waiting": "restart"}        the program may be killed and started now
//   {"waiting": "dead key"}       the upstream may stop to take the key
//   {"waiting": "new key"}        the key may be replaced
//   {"done": {...}}               what was seen
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

// A Provider keeps registration and tokens in memory and counts what happens.
class Provider {
  authorizations = 0;
  saved = 0;

  constructor(redirectUrl) {
    this.redirectUrl = redirectUrl;
  }
  get clientMetadata() {
    return {
      client_name: 'e2e client',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }
  state() {
    return (this.lastState = randomUUID() + '+/=%');
  }
  clientInformation() {
    return this.client;
  }
  saveClientInformation(client) {
    this.client = client;
  }
  tokens() {
    return this.current;
  }
  saveTokens(tokens) {
    this.saved++;
    this.current = tokens;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
  redirectToAuthorization(url) {
    this.authorizations++;
    say({ authorize: url.href });
  }
  // forget makes the access token one that no server knows, so that the next
  // request has to refresh.
  forget() {
    this.current = { ...this.current, access_token: 'not-a-token' };
  }
}

// listen waits for the one redirect that ends an authorization.
async function listen() {
  let arrived;
  const callback = new Promise((resolve) => (arrived = resolve));
  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1');
    if (url.pathname !== '/callback') {
      res.writeHead(404).end();
      return;
    }
    res.writeHead(200, { 'Content-Type': 'text/plain', Connection: 'close' }).end('done');
    arrived(url.searchParams);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { redirect: `http://127.0.0.1:${server.address().port}/callback`, callback, server };
}

// run goes the whole way. newClient returns a client that is not connected,
// finish hands the redirect's parameters to a transport.
export async function run({ newClient, Transport, UnauthorizedError, finish }) {
  const mcpUrl = new URL(process.argv[2]);
  const { redirect, callback, server } = await listen();
  const authProvider = new Provider(redirect);
  const newTransport = () => new Transport(mcpUrl, { authProvider });

  const first = newTransport();
  try {
    await newClient().connect(first);
    throw new Error('connected without an authorization');
  } catch (err) {
    if (!(err instanceof UnauthorizedError)) throw err;
  }
  const params = await callback;
  if (params.get('state') !== authProvider.lastState) throw new Error('the state came back changed');
  await finish(first, params);

  const client = newClient();
  const transport = newTransport();
  await client.connect(transport);
  const { tools } = await client.listTools();
  const call = async () => {
    const result = await client.callTool({ name: 'test_simple_text', arguments: {} });
    if (result.isError) throw new Error(JSON.stringify(result));
    return result.content[0].text;
  };
  const texts = [await call()];

  const before = authProvider.current.refresh_token;
  authProvider.forget();
  texts.push(await call());
  const rotated = authProvider.current.refresh_token !== before;

  const stdin = createInterface({ input: process.stdin });
  const wait = async (what) => {
    say({ waiting: what });
    await once(stdin, 'line');
  };
  await wait('restart');
  texts.push(await call());
  await wait('dead key');
  const dead = await client.callTool({ name: 'test_simple_text', arguments: {} });
  await wait('new key');
  texts.push(await call());

  say({
    done: {
      tools: tools.length,
      texts,
      rejected: dead.isError ? dead.content[0].text : '',
      rotated,
      authorizations: authProvider.authorizations,
      saved: authProvider.saved,
      version: transport.protocolVersion ?? '',
    },
  });
  await client.close();
  server.close();
  process.exit(0);
}
