// A client of RFC 9470: turns a refused call into the authorization request that cures it, and knows when
// to stop.

/** The login cannot be made what the API asks for. Asking again would be in vain. */
export class StepUpUnmet extends Error {}

const CURABLE = ['insufficient_user_authentication', 'insufficient_claims', 'insufficient_scope'];

/** What a refused call asks for, or undefined if no login can cure it. */
export async function challengeOf(response) {
  if (response.status !== 401 && response.status !== 403) return undefined;
  const problem = await response.clone().json().catch(() => undefined)
    ?? parameters(response.headers.get('www-authenticate') ?? '');
  if (problem.type === 'urn:stepup:problem:step-up-unmet') throw new StepUpUnmet(problem.detail);
  if (!CURABLE.includes(problem.error)) return undefined;
  const { acr_values, max_age, scope, claims } = problem;
  return { acr_values, max_age, scope, claims };
}

/** The parameters of a challenge (RFC 9110 §11.6.1): quoted strings or tokens. */
function parameters(header) {
  const found = header.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g);
  const all = Object.fromEntries([...found].map(([, name, quoted, plain]) => [name, quoted ?? plain]));
  // Entra's claims request stands in the header as base64.
  return all.claims ? { ...all, claims: atob(all.claims) } : all;
}

/** The address of the authorization request that cures a challenge. */
export function cure(challenge, { authorizationEndpoint, parameters }) {
  const url = new URL(authorizationEndpoint);
  const asked = { ...parameters };
  for (const name of ['acr_values', 'max_age', 'claims']) {
    if (challenge[name] !== undefined) asked[name] = String(challenge[name]);
  }
  const scopes = `${parameters.scope ?? ''} ${challenge.scope ?? ''}`.split(' ').filter(Boolean);
  if (scopes.length > 0) asked.scope = [...new Set(scopes)].join(' ');
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  return url.toString();
}

/** Calls the API; `attempt` counts the step-ups that were done for this call. */
export async function call(url, { token, attempt = 0, login, ...request }) {
  const headers = new Headers(request.headers);
  headers.set('authorization', `Bearer ${token}`);
  if (attempt > 0) headers.set('step-up-attempt', String(attempt));
  const response = await fetch(url, { ...request, headers });
  const challenge = await challengeOf(response);
  return { response, goTo: challenge && cure(challenge, login) };
}

/** The code that the provider sends the user back with. */
export function returned(address) {
  const answer = new URL(address).searchParams;
  const error = answer.get('error');
  if (error === 'unmet_authentication_requirements') {
    throw new StepUpUnmet(answer.get('error_description') ?? error);
  }
  if (error) throw new Error(answer.get('error_description') ?? error);
  return answer.get('code');
}
