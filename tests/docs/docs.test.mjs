// Tests the JavaScript examples of the documentation. `tests/run` runs this file with `node --test`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';
import { StepUpUnmet, call, challengeOf, cure, returned } from '../../docs/client/step-up.mjs';

/** Runs an Auth0 Action with an event. Returns the claims that it sets and the challenges that it starts. */
async function runAction(name, event) {
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

test('the first Action requires a second factor only if the client requests it', async () => {
  const requested = await runAction('challenge', { user, transaction: { acr_values: [MULTI_FACTOR] } });
  assert.deepEqual(requested.challenges, [[{ type: 'otp' }, { type: 'webauthn-roaming' }]]);
  for (const event of [
    { user, transaction: { acr_values: [] } },
    { user, transaction: { acr_values: ['urn:other'] } },
    { user },
    { user: {}, transaction: { acr_values: [MULTI_FACTOR] } },
  ]) {
    assert.deepEqual((await runAction('challenge', event)).challenges, []);
  }
});

test('the second Action sets the methods, and the time of the oldest method', async () => {
  const { claims } = await runAction('claims', {
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

test('the second Action omits unknown claims', async () => {
  const resource_server = { identifier: 'https://api.bank.example' };
  for (const event of [{}, { resource_server }, { resource_server, authentication: { methods: [] } }]) {
    assert.deepEqual((await runAction('claims', event)).claims, {});
  }
  const methods = [{ name: 'mfa' }, { name: 'pwd', timestamp: '2027-01-15T08:00:00Z' }];
  const { claims } = await runAction('claims', { resource_server, authentication: { methods } });
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

test('a response that a login cannot change is not a challenge', async () => {
  for (const [status, problem] of [
    [200, {}], [401, {}], [401, { error: 'invalid_token' }], [403, { type: 'x' }],
    [503, { error: 'insufficient_scope' }],
  ]) {
    assert.equal(await challengeOf(refusal(status, problem)), undefined);
  }
  assert.equal(await challengeOf(new Response('<html>', { status: 401 })), undefined);
});

test('the challenge is read from the header if the body is missing', async () => {
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

test('a call sends its token and the number of attempts, and returns the URL of the login', async () => {
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

test('the client stops if the step-up had no effect', async () => {
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

// The test in tests/tests/http/oidc.rs runs this file, with the responses of a real API and a real provider in these
// variables.
const { REFUSAL, AGAIN, CALLBACK } = process.env;
if (REFUSAL) test('the client understands a real API and a real provider', async () => {
  const challenge = await challengeOf(refusal(401, JSON.parse(REFUSAL)));
  const url = new URL(cure(challenge, login));
  assert.equal(url.searchParams.get('acr_values'), 'urn:test:acr:mfa');
  assert.equal(url.searchParams.get('max_age'), '300');
  await assert.rejects(challengeOf(refusal(401, JSON.parse(AGAIN))), StepUpUnmet);
  assert.throws(() => returned(CALLBACK), StepUpUnmet);
});
