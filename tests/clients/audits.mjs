// Runs the audits of graphql-http, the reference implementation of GraphQL over HTTP. Usage: audits.mjs URL
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
