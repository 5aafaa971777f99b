// Auth0 Action, post-login, the first of two: asks for a second factor when the client's acr_values do.
const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';

exports.onExecutePostLogin = async (event, api) => {
  const wanted = event.transaction?.acr_values ?? [];
  if (!wanted.includes(MULTI_FACTOR)) return;
  // Always, and not only when the session has none: a second factor of this morning is not a fresh one.
  const factors = (event.user.enrolledFactors ?? []).map(({ type }) => ({ type }));
  if (factors.length > 0) api.authentication.challengeWithAny(factors);
};
