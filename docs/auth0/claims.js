// Auth0 Action, post-login, the second of two: writes into the access token how, and how long ago, its
// user has logged in. A refresh without a login writes nothing new: such a token states nothing.
exports.onExecutePostLogin = async (event, api) => {
  const namespace = event.resource_server?.identifier?.replace(/\/+$/, '');
  const methods = event.authentication?.methods ?? [];
  if (!namespace || methods.length === 0) return;
  const names = methods.map(({ name }) => name);
  const times = methods.map(({ timestamp }) => Math.floor(Date.parse(timestamp) / 1000));
  api.accessToken.setCustomClaim(`${namespace}/amr`, [...new Set(names)]);
  if (times.every(Number.isFinite)) {
    api.accessToken.setCustomClaim(`${namespace}/auth_time`, Math.min(...times));
  }
};
