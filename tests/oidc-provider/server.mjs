// The npm package oidc-provider as an identity provider for tests: everybody who is asked for by login_hint signs in at
// once, and agrees to everything.
//
//     node server.mjs '{"clients": [...]}'
//
// It listens on a free port of the loopback, says {"issuer": ...} on its first line, and ends when its standard input does.
// POST /test/rotate replaces its keys.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

// The package talks on standard output, which nobody reads after the first line.
const say = console.log;
console.log = console.info = console.warn = console.error;

const { clients } = JSON.parse(process.argv[2]);

const kinds = { rsa: { modulusLength: 2048 }, ec: { namedCurve: 'P-256' } };

function keys() {
  return Object.entries(kinds).map(([kind, options]) => {
    const { privateKey } = generateKeyPairSync(kind, options);
    return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' };
  });
}

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

function configuration() {
  return {
    clients,
    jwks: { keys: keys() },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
    // Claims of scopes are told by userinfo, as the specification has it for the code flow.
    conformIdTokenClaims: true,
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      jwtUserinfo: { enabled: true },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@acme.example`,
        email_verified: true,
        name: id,
        groups: ['Agents', 'Everyone'],
      }),
    }),
    loadExistingGrant: async (ctx) => {
      const { client, session, params, provider } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(params.scope);
      await grant.save();
      return grant;
    },
    // Back-channel requests go to a listener of the test on the loopback, which the package refuses otherwise.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  };
}

let provider;
function start() {
  provider = new Provider(issuer, configuration());
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.on('backchannel.error', (ctx, error) => console.error(error));
}
start();

server.on('request', async (request, response) => {
  if (request.method === 'POST' && request.url === '/test/rotate') {
    start();
    response.writeHead(204).end();
  } else if (request.url.startsWith('/interaction/')) {
    const { params } = await provider.interactionDetails(request, response);
    await provider.interactionFinished(request, response, { login: { accountId: params.login_hint ?? 'ana' } });
  } else {
    provider.callback()(request, response);
  }
});

say(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
