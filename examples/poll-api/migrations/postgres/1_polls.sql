-- People, their sessions, polls, votes. Times are milliseconds since 1970; ids are UUIDv7, which sort by time.

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('voter', 'author', 'admin')),
    created_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    pkcs8 BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- A session is the family of refresh tokens that began with one login.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_revoked ON sessions (revoked_at);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Hashes alone: who reads the database cannot log in by it.
CREATE TABLE refresh_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at);

CREATE TABLE polls (
    id TEXT NOT NULL PRIMARY KEY,
    question TEXT NOT NULL,
    author_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    closes_at BIGINT,
    closed_at BIGINT,
    deleted_at BIGINT
);
CREATE INDEX polls_live ON polls (id) WHERE deleted_at IS NULL;

CREATE TABLE poll_options (
    poll_id TEXT NOT NULL REFERENCES polls (id),
    id BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (poll_id, id)
);

-- Append-only: one for each user and poll, never changed, never taken away.
CREATE TABLE votes (
    poll_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    option_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (poll_id, user_id),
    FOREIGN KEY (poll_id, option_id) REFERENCES poll_options (poll_id, id)
);
CREATE FUNCTION votes_are_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'votes are append-only';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER votes_stay BEFORE UPDATE OR DELETE ON votes
    FOR EACH ROW EXECUTE FUNCTION votes_are_append_only();

-- What results are read from: changed in the transaction that adds the vote.
CREATE TABLE tallies (
    poll_id TEXT NOT NULL,
    option_id BIGINT NOT NULL,
    votes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (poll_id, option_id),
    FOREIGN KEY (poll_id, option_id) REFERENCES poll_options (poll_id, id)
);

-- What was answered under an Idempotency-Key, kept in the transaction that did the work.
CREATE TABLE idempotency (
    user_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- What the external service has still to hear.
CREATE TABLE outbox (
    poll_id TEXT NOT NULL PRIMARY KEY REFERENCES polls (id),
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT NOT NULL,
    delivered_at BIGINT,
    refused_at BIGINT
);
CREATE INDEX outbox_delivered ON outbox (delivered_at);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE delivered_at IS NULL AND refused_at IS NULL;
