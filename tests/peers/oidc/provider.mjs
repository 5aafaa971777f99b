// An OIDC provider (oidc-provider, certified) with one user, who has a password and TOTP as the second factor.
// Prints its issuer as a line of JSON when it is ready, and exits when its standard input is closed. It reads two
// commands from its standard input, and responds to each with a line of JSON: `rotate` (sign with a new key, publish the
// old keys as well) and `retire` (publish only the newest key).
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Provider, interactionPolicy } from 'oidc-provider';
import { authenticator } from 'otplib';

const USER = 'alice';
const PASSWORD = 'correct horse battery staple';
const SECRET = process.env.TOTP_SECRET;
const AUDIENCE = 'https://api.test';
// A resource of the same API that receives opaque tokens.
const OPAQUE = 'https://opaque.api.test';
const LEVELS = { pwd: 'urn:test:acr:pwd', mfa: 'urn:test:acr:mfa' };

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

let keys = [];
function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = `es256-${Date.now()}-${keys.length}`;
  keys = [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid }, ...keys];
}

const policy = interactionPolicy.base();
// loadExistingGrant below grants consent.
policy.remove('consent');
policy.get('login').checks.add(new interactionPolicy.Check(
  'acr_values_not_met', 'none of the requested acr_values was reached', 'login_required',
  ({ oidc }) => {
    const wanted = oidc.params.acr_values?.split(' ') ?? [];
    return wanted.length > 0 && !wanted.includes(oidc.acr)
      ? interactionPolicy.Check.REQUEST_PROMPT : interactionPolicy.Check.NO_NEED_TO_PROMPT;
  },
));

const build = () => new Provider(issuer, {
  acrValues: Object.values(LEVELS),
  claims: { openid: ['sub'], acr: null, amr: null, auth_time: null },
  clients: [{
    client_id: 'bank-app',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
    introspection_signed_response_alg: 'ES256',
    // Where the provider reports the end of a session.
    ...(process.env.LOGOUT_URI && {
      backchannel_logout_uri: process.env.LOGOUT_URI,
      backchannel_logout_session_required: true,
    }),
  }, {
    client_id: 'test-api',
    client_secret: 'test-secret',
    redirect_uris: [],
    grant_types: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
    introspection_signed_response_alg: 'ES256',
  }],
  cookies: { keys: ['only-for-tests'] },
  // By default the provider refuses to send logouts to loopback.
  fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  jwks: { keys },
  enabledJWA: {
    idTokenSigningAlgValues: ['ES256'],
    introspectionSigningAlgValues: ['ES256'],
  },
  features: {
    backchannelLogout: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === 'test-api' },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'pay read',
        audience: resource,
        accessTokenFormat: resource === OPAQUE ? 'opaque' : 'jwt',
        accessTokenTTL: 3600,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  // The authentication claims of the access token (RFC 9068 §2.2.1).
  extraTokenClaims({ oidc }) {
    const grant = oidc.entities.AuthorizationCode ?? oidc.entities.RefreshToken;
    return grant && { acr: grant.acr, amr: grant.amr, auth_time: grant.authTime, sid: grant.sid };
  },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({
      accountId: oidc.session.accountId, clientId: oidc.client.clientId,
    });
    grant.addOIDCScope('openid');
    for (const resource of [oidc.params.resource ?? []].flat()) {
      grant.addResourceScope(resource, 'pay read');
    }
    await grant.save();
    return grant;
  },
});

newKey();
let provider = build();
provider.on('backchannel.error', (_ctx, error) => console.error('a logout was not delivered:', error));
let callback = provider.callback();

async function interaction(req, res) {
  const { prompt, params } = await provider.interactionDetails(req, res);
  if (req.method === 'GET') {
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ prompt: prompt.name, reasons: prompt.reasons, params }));
    return;
  }
  const form = new URLSearchParams(await text(req));
  const known = form.get('user') === USER && form.get('password') === PASSWORD;
  const code = form.get('totp');
  const wanted = params.acr_values?.split(' ') ?? [];
  if (known && wanted.length > 0 && !wanted.some((acr) => Object.values(LEVELS).includes(acr))) {
    // RFC 9470 §5: this provider cannot reach the requested level.
    const error = 'unmet_authentication_requirements';
    await provider.interactionFinished(req, res, { error });
    return;
  }
  if (!known || (code !== null && !authenticator.check(code, SECRET))) {
    res.statusCode = 403;
    res.end('wrong credentials');
    return;
  }
  const login = {
    accountId: USER,
    acr: code === null ? LEVELS.pwd : LEVELS.mfa,
    amr: code === null ? ['pwd'] : ['pwd', 'otp', 'mfa'],
    ts: Math.floor(Date.now() / 1000),
  };
  await provider.interactionFinished(req, res, { login }, { mergeWithLastSubmission: false });
}

server.on('request', (req, res) => {
  if (!req.url.startsWith('/interaction/')) {
    callback(req, res);
    return;
  }
  interaction(req, res).catch((error) => {
    res.statusCode = 500;
    res.end(String(error));
  });
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'rotate') newKey();
    if (line === 'retire') keys = keys.slice(0, 1);
    provider = build();
    callback = provider.callback();
    console.log(JSON.stringify({ done: line, kids: keys.map(({ kid }) => kid) }));
  })
  .on('close', () => process.exit(0));
console.log(JSON.stringify({ issuer }));
