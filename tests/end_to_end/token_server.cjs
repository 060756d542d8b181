// oauth2-mock-server over https, with an introspection that knows what was issued.
//
// Usage: node token_server.cjs PACKAGE PORT URL KEY CERTIFICATE CLIENT. PACKAGE: its folder. URL: what it calls itself. CLIENT:
// "name:password" of who may introspect. POST /token takes, beside the form of RFC 6749, the token's claims as JSON in "claims".
// It says "ready" on standard output.
"use strict";
const { readFileSync } = require("node:fs");
const { createServer } = require("node:https");

const [folder, port, url, key, certificate, client] = process.argv.slice(2);
const { OAuth2Server } = require(folder);
const express = require(require.resolve("express", { paths: [folder] }));

async function main() {
  const { issuer, service } = new OAuth2Server();
  issuer.url = url;
  await issuer.keys.generate("ES256");
  const issued = new Map();
  const allowed = `Basic ${Buffer.from(client).toString("base64")}`;
  let claims;
  service.on("beforeTokenSigning", (token, request) => {
    claims = Object.assign(token.payload, JSON.parse(request.body.claims));
  });
  service.on("beforeResponse", (response) => issued.set(response.body.access_token, claims));
  service.on("beforeIntrospect", (response, request) => {
    const known = issued.get(request.body.token);
    if (request.headers.authorization !== allowed) response.statusCode = 401;
    response.body = known && known.exp > Date.now() / 1000 ? { active: true, ...known } : { active: false };
  });
  const app = express();
  app.use(express.urlencoded({ extended: false })); // its own introspection does not read the form
  app.use(service.requestHandler);
  const secured = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, app);
  secured.listen(Number(port), "127.0.0.1", () => console.log("ready"));
}

main();
