// One person's encrypted client on matrix-js-sdk: what it does when asked, and what it tells of its own accord.
// SPDX-License-Identifier: AGPL-3.0-or-later

import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import attachments from "matrix-encrypt-attachment";
import { createClient, Method } from "matrix-js-sdk";
import { M_POLL_RESPONSE } from "matrix-js-sdk/lib/@types/polls.js";
import {
    AllDevicesIsolationMode,
    CrossSigningKey,
    decodeRecoveryKey,
    EventShieldColour,
    EventShieldReason,
    OnlySignedDevicesIsolationMode,
} from "matrix-js-sdk/lib/crypto-api/index.js";

const RATE_LIMIT_PATIENCE_MS = 120_000;
const ENCRYPTION = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
const GUESTS = { type: "m.room.guest_access", state_key: "", content: { guest_access: "can_join" } };

function refusal(code, text) {
    return Object.assign(new Error(text), { code });
}

// Obeys the homeserver's rate limit for every kind of request, as an app does that must not lose what a person wrote.
async function patientFetch(url, options) {
    const until = Date.now() + RATE_LIMIT_PATIENCE_MS;
    for (;;) {
        const response = await fetch(url, options);
        if (response.status !== 429 || Date.now() > until) return response;
        const told = await response.json().catch(() => ({}));
        const wait = told.retry_after_ms ?? 1000 * Number(response.headers.get("retry-after") ?? 1);
        await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 50)));
    }
}

export class Client {
    constructor({ url, user, device, token, auto_accept, password }, tell) {
        this.user = user;
        this.password = password;
        this.autoAccept = auto_accept;
        this.tell = tell;
        this.queue = Promise.resolve();
        this.told = new Map();
        this.storageKey = null;
        this.matrix = createClient({
            baseUrl: url,
            userId: user,
            deviceId: device,
            accessToken: token,
            fetchFn: patientFetch,
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) => (this.storageKey ? [Object.keys(keys)[0], this.storageKey] : null),
                cacheSecretStorageKey: (_id, _info, key) => {
                    this.storageKey = key;
                },
            },
        });
    }

    get crypto() {
        return this.matrix.getCrypto();
    }

    async start({ isolation, cross_sign, recovery_key }) {
        await this.matrix.initRustCrypto({ useIndexedDB: false });
        this.crypto.setDeviceIsolationMode(
            isolation === "exclude" ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false),
        );
        this.listen();
        const synced = new Promise((resolve, reject) => {
            this.matrix.on("sync", (state, _before, data) => {
                if (state === "PREPARED") resolve();
                if (state === "ERROR" && data?.error?.errcode) reject(data.error);
            });
        });
        await this.matrix.startClient({ initialSyncLimit: 100, pendingEventOrdering: "detached" });
        await synced;
        if (!cross_sign) return { recovery_key };
        if (!(await this.crypto.userHasCrossSigningKeys(this.user, true))) return { recovery_key: await this.makeIdentity() };
        if (!recovery_key) throw refusal("IDENTITY_EXISTS", "this account has an identity: its recovery key is needed");
        this.storageKey = decodeRecoveryKey(recovery_key);
        await this.crypto.bootstrapCrossSigning({});
        return { recovery_key };
    }

    async makeIdentity() {
        await this.crypto.bootstrapCrossSigning({
            setupNewCrossSigning: true,
            authUploadDeviceSigningKeys: (upload) => this.authorised(upload),
        });
        const key = await this.crypto.createRecoveryKeyFromPassphrase();
        await this.crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewSecretStorage: true });
        return key.encodedPrivateKey;
    }

    // The homeserver asks for the password when keys are replaced, and for nothing when they are new.
    async authorised(upload) {
        try {
            return await upload(null);
        } catch (error) {
            if (error.httpStatus !== 401) throw error;
            const identifier = { type: "m.id.user", user: this.user };
            return await upload({
                type: "m.login.password",
                identifier,
                password: this.password,
                session: error.data.session,
            });
        }
    }

    // What it tells

    listen() {
        this.matrix.on("Room.timeline", (event, room, atStart, removed) => {
            if (room && !removed && !event.status) this.report(event, Boolean(atStart));
        });
        this.matrix.on("Room.localEchoUpdated", (event) => {
            if (!event.status) this.report(event, false);
        });
        this.matrix.on("Event.decrypted", (event) => {
            if (this.told.has(event.getId())) this.report(event, false);
        });
        this.matrix.on("Room.redaction", (redaction, room) => {
            const target = room.findEventById(redaction.getAssociatedId());
            if (target && this.told.has(target.getId())) this.report(target, false);
        });
        this.matrix.on("RoomState.members", (_event, state, member) => {
            this.tell({ event: "member", room: state.roomId, user: member.userId, membership: member.membership, by: sender(member) });
        });
        this.matrix.on("Room.myMembership", (room, membership) => {
            const own = room.getMember(this.user);
            this.tell({ event: "member", room: room.roomId, user: this.user, membership, by: own ? sender(own) : null });
            if (membership === "invite" && this.autoAccept) {
                this.matrix.joinRoom(room.roomId).catch((error) => console.error("auto accept:", error.stack));
            }
        });
        for (const change of ["crypto.devicesUpdated", "userTrustStatusChanged"]) {
            this.matrix.on(change, () => this.tell({ event: "identities" }));
        }
        this.matrix.on("receivedToDeviceMessage", ({ message, encryptionInfo }) => {
            const { sender: from, type, content } = message;
            this.tell({ event: "to_device", sender: from, type, content, encrypted: Boolean(encryptionInfo) });
        });
    }

    // One at a time, so that events are told in the order of the timeline although some take longer to decrypt.
    report(event, backfill) {
        if (!this.told.has(event.getId())) this.told.set(event.getId(), null);
        this.queue = this.queue
            .then(() => this.reportNow(event, backfill))
            .catch((error) => console.error("report:", error.stack));
    }

    async reportNow(event, backfill) {
        await this.matrix.decryptEventIfNeeded(event);
        const form = JSON.stringify([event.decryptionFailureReason, event.isRedacted()]);
        if (this.told.get(event.getId()) === form) return;
        this.told.set(event.getId(), form);
        const shield = event.isEncrypted() ? await this.crypto.getEncryptionInfoForEvent(event) : null;
        const readable = !event.isRedacted() && !event.isDecryptionFailure();
        const relation = event.getWireContent()["m.relates_to"] ?? null;
        this.tell({
            event: "message",
            backfill,
            event_id: event.getId(),
            room_id: event.getRoomId(),
            sender: event.getSender(),
            type: readable ? event.getType() : event.getWireType(),
            state_key: event.isState() ? event.getStateKey() : null,
            content: readable ? event.getOriginalContent() : {},
            relation,
            encrypted: event.isEncrypted(),
            shield: name(EventShieldColour, shield?.shieldColour) ?? "NONE",
            shield_reason: name(EventShieldReason, shield?.shieldReason),
            decryption_failure: event.decryptionFailureReason ?? null,
            redacted: event.isRedacted(),
            sent_at: event.getTs(),
        });
    }

    // Rooms

    async create_dm({ user, fresh, encrypted }) {
        const direct = this.matrix.getAccountData("m.direct")?.getContent() ?? {};
        const joined = (direct[user] ?? []).find((id) => this.matrix.getRoom(id)?.getMyMembership() === "join");
        if (joined && !fresh) return joined;
        const { room_id } = await this.matrix.createRoom({
            preset: "trusted_private_chat",
            visibility: "private",
            is_direct: true,
            invite: [user],
            initial_state: encrypted ? [GUESTS, ENCRYPTION] : [GUESTS],
        });
        await this.hasRoom(room_id, encrypted);
        await this.matrix.setAccountData("m.direct", { ...direct, [user]: [...(direct[user] ?? []), room_id] });
        return room_id;
    }

    async create_room({ invite, encrypted, name, history_visibility, version }) {
        const state = encrypted ? [ENCRYPTION] : [];
        if (history_visibility) state.push({ type: "m.room.history_visibility", state_key: "", content: { history_visibility } });
        const { room_id } = await this.matrix.createRoom({
            preset: "private_chat",
            invite,
            initial_state: state,
            ...(name ? { name } : {}),
            ...(version ? { room_version: version } : {}),
        });
        await this.hasRoom(room_id, encrypted);
        return room_id;
    }

    async join({ room }) {
        await this.matrix.joinRoom(room);
        await this.hasRoom(room, false);
    }

    async invite({ room, user }) {
        await this.matrix.invite(room, user);
    }

    async leave({ room }) {
        await this.matrix.leave(room);
    }

    async members({ room }) {
        const members = this.matrix.getRoom(room)?.getMembers() ?? [];
        return Object.fromEntries(members.map((member) => [member.userId, member.membership]));
    }

    // A room exists for this client once sync brought it; before that it would not know that it must encrypt.
    async hasRoom(id, encrypted) {
        for (;;) {
            const there = this.matrix.getRoom(id)?.getMyMembership() === "join";
            if (there && (!encrypted || (await this.crypto.isEncryptionEnabledInRoom(id)))) return;
            await new Promise((resolve) => this.matrix.once("sync", resolve));
        }
    }

    async mustEncrypt(room) {
        if (!this.matrix.getRoom(room)) throw refusal("NO_SUCH_ROOM", "this client is not in that room");
        if (!(await this.crypto.isEncryptionEnabledInRoom(room))) throw refusal("NOT_ENCRYPTED", "that room is not encrypted");
    }

    // Sending

    async send({ room, text, reply_to, edit_of, msgtype }) {
        const content = { msgtype, body: text, "m.mentions": {} };
        if (reply_to) {
            content["m.relates_to"] = { "m.in_reply_to": { event_id: reply_to } };
            const author = this.matrix.getRoom(room)?.findEventById(reply_to)?.getSender();
            if (author && author !== this.user) content["m.mentions"] = { user_ids: [author] };
        }
        if (!edit_of) return await this.send_raw({ room, type: "m.room.message", content });
        return await this.send_raw({
            room,
            type: "m.room.message",
            content: {
                msgtype,
                body: `* ${text}`,
                "m.mentions": {},
                "m.new_content": { msgtype, body: text, "m.mentions": {} },
                "m.relates_to": { rel_type: "m.replace", event_id: edit_of },
            },
        });
    }

    async send_raw({ room, type, content }) {
        await this.mustEncrypt(room);
        const { event_id } = await this.matrix.sendEvent(room, type, content);
        return event_id;
    }

    async send_plain({ room, type, content }) {
        const path = `/rooms/${encodeURIComponent(room)}/send/${encodeURIComponent(type)}/${randomBytes(8).toString("hex")}`;
        const { event_id } = await this.matrix.http.authedRequest(Method.Put, path, undefined, content);
        return event_id;
    }

    async send_file({ room, path, name: filename, mimetype, msgtype, encrypted }) {
        const bytes = await readFile(path);
        const content = { msgtype, body: filename, filename, info: { size: bytes.length, mimetype }, "m.mentions": {} };
        if (!encrypted) {
            const { content_uri } = await this.matrix.uploadContent(bytes, { name: filename, type: mimetype });
            return await this.send_plain({ room, type: "m.room.message", content: { ...content, url: content_uri } });
        }
        await this.mustEncrypt(room);
        const { data, info } = await attachments.encryptAttachment(bytes);
        const upload = { type: "application/octet-stream", includeFilename: false };
        const { content_uri } = await this.matrix.uploadContent(Buffer.from(data), upload);
        content.file = { ...info, url: content_uri };
        return await this.send_raw({ room, type: "m.room.message", content });
    }

    async vote({ room, poll, answers }) {
        return await this.send_raw({
            room,
            type: M_POLL_RESPONSE.name,
            content: {
                "m.relates_to": { rel_type: "m.reference", event_id: poll },
                [M_POLL_RESPONSE.name]: { answers },
            },
        });
    }

    async redact({ room, event, reason }) {
        const { event_id } = await this.matrix.redactEvent(room, event, undefined, reason ? { reason } : undefined);
        return event_id;
    }

    async to_device({ user, device, type, content }) {
        await this.matrix.sendToDevice(type, new Map([[user, new Map([[device, content]])]]));
    }

    // Reading

    async history({ room, limit }) {
        const known = this.matrix.getRoom(room);
        if (!known) throw refusal("NO_SUCH_ROOM", "this client is not in that room");
        await this.matrix.scrollback(known, limit);
        await this.queue;
    }

    async export_keys() {
        return await this.crypto.exportRoomKeysAsJson();
    }

    async import_keys({ keys }) {
        await this.crypto.importRoomKeysAsJson(keys);
    }

    async download({ content, folder }) {
        const address = content.file?.url ?? content.url;
        const url = address && this.matrix.mxcUrlToHttp(address, undefined, undefined, undefined, false, true, true);
        if (!url) throw refusal("NO_FILE", "this content names no file");
        const response = await patientFetch(url, { headers: { Authorization: `Bearer ${this.matrix.getAccessToken()}` } });
        if (!response.ok) throw refusal(`HTTP_${response.status}`, "the homeserver does not give this file");
        const sent = Buffer.from(await response.arrayBuffer());
        const bytes = content.file ? Buffer.from(await attachments.decryptAttachment(sent, content.file)) : sent;
        const path = join(folder, randomBytes(12).toString("hex"));
        await writeFile(path, bytes, { mode: 0o600 });
        return path;
    }

    // Identity

    async identity() {
        return await this.crypto.getCrossSigningKeyId(CrossSigningKey.Master);
    }

    async identity_of({ user }) {
        const devices = (await this.crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
        const status = await this.crypto.getUserVerificationStatus(user);
        const known = await this.crypto.userHasCrossSigningKeys(user, true);
        const signed = [];
        for (const id of devices.keys()) {
            if ((await this.crypto.getDeviceVerificationStatus(user, id))?.signedByOwner) signed.push(id);
        }
        return { known, verified: status.isVerified(), needs_approval: status.needsUserApproval, devices: [...devices.keys()], signed };
    }

    async reset_identity() {
        const recovery_key = await this.makeIdentity();
        await this.ownDeviceIsSigned();
        return { recovery_key, master: await this.identity() };
    }

    /** Ask for the own keys until this device sees itself signed by its new identity: before that it cannot send. */
    async ownDeviceIsSigned() {
        for (let attempt = 0; attempt < 50; attempt++) {
            await this.crypto.getUserDeviceInfo([this.user], true);
            const status = await this.crypto.getDeviceVerificationStatus(this.user, this.matrix.getDeviceId());
            if (status?.signedByOwner) {
                return;
            }
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        throw new Error("own device not signed");
    }

    // Other devices of the account

    async sign_in() {
        const { access_token, device_id } = await this.matrix.http.authedRequest(Method.Post, "/login", undefined, {
            type: "m.login.password",
            identifier: { type: "m.id.user", user: this.user },
            password: this.password,
        });
        return { access_token, device_id };
    }

    close() {
        this.matrix.stopClient();
    }
}

function sender(member) {
    return member.events.member?.getSender() ?? null;
}

function name(names, value) {
    return value === undefined || value === null ? null : names[value];
}
