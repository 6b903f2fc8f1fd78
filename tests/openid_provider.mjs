// A certified OpenID Connect provider (npm: oidc-provider), for one client and anybody who
// types a name: node openid_provider.mjs PORT REDIRECT_URI

import Provider from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);

const claimsOf = (id) => ({
  sub: id,
  email: `${id}@example.org`,
  email_verified: true,
  name: `${id} of the crew`,
  preferred_username: id,
  groups: ["crew"],
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "hai",
      client_secret: "a secret",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["name", "preferred_username", "groups"],
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => claimsOf(id) }),
  pkce: { required: () => true },
  cookies: { keys: ["of tests only"] },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
