// The JavaScript of the documentation does what the documentation says. `tests/run` runs this with
// `node --test`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';
import { StepUpUnmet, call, challengeOf, cure, returned } from '../../docs/client/step-up.mjs';

/** Runs an Auth0 Action with an event, and tells what it did. */
async function act(name, event) {
  const exports = {};
  const code = readFileSync(new URL(`../../docs/auth0/${name}.js`, import.meta.url), 'utf8');
  vm.runInNewContext(code, { exports });
  const claims = {};
  const challenges = [];
  await exports.onExecutePostLogin(event, {
    accessToken: { setCustomClaim: (claim, value) => { claims[claim] = value; } },
    authentication: { challengeWithAny: (factors) => challenges.push(factors) },
  });
  return JSON.parse(JSON.stringify({ claims, challenges }));
}

const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';
const user = { enrolledFactors: [{ type: 'otp' }, { type: 'webauthn-roaming' }] };

test('the first Action asks for a second factor when the client does, and only then', async () => {
  const asked = await act('challenge', { user, transaction: { acr_values: [MULTI_FACTOR] } });
  assert.deepEqual(asked.challenges, [[{ type: 'otp' }, { type: 'webauthn-roaming' }]]);
  for (const event of [
    { user, transaction: { acr_values: [] } },
    { user, transaction: { acr_values: ['urn:other'] } },
    { user },
    { user: {}, transaction: { acr_values: [MULTI_FACTOR] } },
  ]) {
    assert.deepEqual((await act('challenge', event)).challenges, []);
  }
});

test('the second Action writes the methods, and the time of the oldest of them', async () => {
  const { claims } = await act('claims', {
    resource_server: { identifier: 'https://api.bank.example/' },
    authentication: {
      methods: [
        { name: 'pwd', timestamp: '2027-01-15T08:00:00.500Z' },
        { name: 'mfa', type: 'otp', timestamp: '2027-01-15T08:10:00.000Z' },
      ],
    },
  });
  assert.deepEqual(claims, {
    'https://api.bank.example/amr': ['pwd', 'mfa'],
    'https://api.bank.example/auth_time': 1800000000,
  });
});

test('the second Action states nothing that it does not know', async () => {
  const resource_server = { identifier: 'https://api.bank.example' };
  for (const event of [{}, { resource_server }, { resource_server, authentication: { methods: [] } }]) {
    assert.deepEqual((await act('claims', event)).claims, {});
  }
  const methods = [{ name: 'mfa' }, { name: 'pwd', timestamp: '2027-01-15T08:00:00Z' }];
  const { claims } = await act('claims', { resource_server, authentication: { methods } });
  assert.deepEqual(claims, { 'https://api.bank.example/amr': ['mfa', 'pwd'] });
});

const refusal = (status, problem) => new Response(JSON.stringify(problem), { status });
const login = {
  authorizationEndpoint: 'https://login.bank.example/authorize?tenant=a',
  parameters: { client_id: 'web', scope: 'openid' },
};

test('a challenge becomes an authorization request', async () => {
  const challenge = await challengeOf(refusal(401, {
    error: 'insufficient_user_authentication', acr_values: 'a b', max_age: 300, scope: 'pay openid',
  }));
  const url = new URL(cure(challenge, login));
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    tenant: 'a', client_id: 'web', acr_values: 'a b', max_age: '300', scope: 'openid pay',
  });
});

test('what no login cures is no challenge', async () => {
  for (const [status, problem] of [
    [200, {}], [401, {}], [401, { error: 'invalid_token' }], [403, { type: 'x' }],
    [503, { error: 'insufficient_scope' }],
  ]) {
    assert.equal(await challengeOf(refusal(status, problem)), undefined);
  }
  assert.equal(await challengeOf(new Response('<html>', { status: 401 })), undefined);
});

test('where the body is lost the header is read', async () => {
  const header = (value) => new Response('', { status: 401, headers: { 'www-authenticate': value } });
  const standard = 'Bearer error="insufficient_user_authentication", error_description="a, b=c", '
    + 'acr_values="a b", max_age=300, scope="pay"';
  assert.deepEqual(await challengeOf(header(standard)), {
    acr_values: 'a b', max_age: '300', scope: 'pay', claims: undefined,
  });
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';
  const entra = `Bearer realm="", error="insufficient_claims", claims="${btoa(claims)}"`;
  assert.equal((await challengeOf(header(entra))).claims, claims);
  assert.equal(await challengeOf(header('Bearer')), undefined);
});

test('a call shows its token, says which attempt it is, and tells where to go', async () => {
  const sent = [];
  const real = globalThis.fetch;
  globalThis.fetch = async (url, request) => {
    sent.push([url, request.method, Object.fromEntries(request.headers)]);
    return sent.length === 1
      ? refusal(401, { error: 'insufficient_user_authentication', acr_values: 'a' })
      : new Response('done');
  };
  try {
    const first = await call('/pay', { method: 'POST', token: 't', headers: { 'x-a': 'b' }, login });
    assert.equal(new URL(first.goTo).searchParams.get('acr_values'), 'a');
    const second = await call('/pay', { method: 'POST', token: 't', attempt: 1, login });
    assert.equal(second.goTo, undefined);
    assert.equal(await second.response.text(), 'done');
  } finally {
    globalThis.fetch = real;
  }
  assert.deepEqual(sent, [
    ['/pay', 'POST', { authorization: 'Bearer t', 'x-a': 'b' }],
    ['/pay', 'POST', { authorization: 'Bearer t', 'step-up-attempt': '1' }],
  ]);
});

test('the client stops when the step-up was in vain', async () => {
  const unmet = refusal(401, {
    type: 'urn:stepup:problem:step-up-unmet', error: 'insufficient_user_authentication', detail: 'why',
  });
  await assert.rejects(challengeOf(unmet), new StepUpUnmet('why'));
  const back = 'https://bank.example/callback?error=unmet_authentication_requirements';
  assert.throws(() => returned(back), StepUpUnmet);
  assert.throws(() => returned('https://bank.example/callback?error=access_denied'), {
    name: 'Error', message: 'access_denied',
  });
  assert.equal(returned('https://bank.example/callback?code=c&state=s'), 'c');
});

// The answers of a real API and a real provider, handed over by tests/tests/oidc.rs, which runs this file
// for itself.
const { REFUSAL, AGAIN, CALLBACK } = process.env;
if (REFUSAL) test('the client understands a real API and a real provider', async () => {
  const challenge = await challengeOf(refusal(401, JSON.parse(REFUSAL)));
  const url = new URL(cure(challenge, login));
  assert.equal(url.searchParams.get('acr_values'), 'urn:test:acr:mfa');
  assert.equal(url.searchParams.get('max_age'), '300');
  await assert.rejects(challengeOf(refusal(401, JSON.parse(AGAIN))), StepUpUnmet);
  assert.throws(() => returned(CALLBACK), StepUpUnmet);
});
