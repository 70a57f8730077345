// Hosts many encrypted Matrix clients. Requests come as JSON lines on stdin, answers and events go as JSON lines to stdout.
// SPDX-License-Identifier: AGPL-3.0-or-later

import { createInterface } from "node:readline";
import { format } from "node:util";

// Standard output belongs to the protocol; matrix-js-sdk writes its diary there.
for (const level of ["log", "info", "debug", "trace"]) console[level] = () => {};
for (const level of ["warn", "error"]) console[level] = (...said) => process.stderr.write(format(...said) + "\n");

if (Number.parseInt(process.versions.node) < 22) {
    console.error(`Node 22 or later is needed, this is ${process.version}`);
    process.exit(1);
}

const { Client } = await import("./client.mjs");

const clients = new Map();

function say(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

async function perform({ op, person, ...given }) {
    if (op === "hello") return { node: process.version };
    if (op === "login") {
        if (clients.has(person)) throw Object.assign(new Error("this device has a client already"), { code: "DEVICE_IN_USE" });
        const client = new Client(given, (event) => say({ ...event, person }));
        clients.set(person, client);
        try {
            return await client.start(given);
        } catch (error) {
            clients.delete(person);
            client.close();
            throw error;
        }
    }
    const client = clients.get(person);
    if (!client) throw Object.assign(new Error("no such client"), { code: "CLOSED" });
    if (op === "close") clients.delete(person);
    return await client[op](given);
}

async function answer(request) {
    try {
        const result = await perform(request);
        say({ id: request.id, result: result ?? null });
    } catch (error) {
        const code = error.errcode ?? error.code ?? error.name ?? "Error";
        say({ id: request.id, error: { op: request.op, code: String(code), message: String(error.message).slice(0, 300) } });
        process.stderr.write(`${request.op}: ${error.stack}\n`);
    }
}

// A client that was stopped leaves requests behind that fail later: they belong to nobody.
process.on("unhandledRejection", (error) => process.stderr.write(`unhandled: ${error?.stack ?? error}\n`));

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    void answer(JSON.parse(line));
}
process.exit(0);
