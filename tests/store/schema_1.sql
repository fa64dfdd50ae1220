CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- The response that is being made in it, or empty, and until when it is believed.
    locked_by TEXT NOT NULL,
    lease BIGINT NOT NULL,
    next_place BIGINT NOT NULL,
    size BIGINT NOT NULL,
    metadata BLOB NOT NULL
);
CREATE INDEX conversations_expires ON conversations (expires);
CREATE INDEX conversations_locked ON conversations (locked_by);
CREATE TABLE conversation_items (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    item TEXT,
    size BIGINT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (conversation, place)
);
CREATE INDEX conversation_items_item ON conversation_items (item);
CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    previous TEXT,
    conversation TEXT,
    -- Where the turn begins in its conversation.
    place BIGINT NOT NULL,
    background BIGINT NOT NULL,
    status TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    cancel BIGINT NOT NULL,
    input_size BIGINT NOT NULL,
    output_size BIGINT NOT NULL,
    -- Body and events.
    rest_size BIGINT NOT NULL
);
CREATE INDEX responses_expires ON responses (expires);
CREATE TABLE contents (
    response TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    input BLOB NOT NULL,
    output BLOB NOT NULL,
    body BLOB NOT NULL,
    events BLOB
);
CREATE TABLE response_items (
    item TEXT NOT NULL,
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    PRIMARY KEY (item, response)
);
CREATE INDEX response_items_response ON response_items (response);
-- Responses that their channel keeps.
CREATE TABLE pins (
    id TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    channel TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (id, owner_key, owner_group)
);
CREATE INDEX pins_expires ON pins (expires);
CREATE TABLE torouter_schema (version BIGINT NOT NULL);
INSERT INTO torouter_schema (version) VALUES (1);
INSERT INTO pins (id, owner_key, owner_group, channel, created, expires) VALUES ('p', 'alice', 'default', 'up', 0, 4000000000000);
INSERT INTO conversations (id, owner_key, owner_group, created, expires, locked_by, lease, next_place, size, metadata)
    VALUES ('c', 'alice', 'default', 0, 4000000000000, '', 0, 0, 2, '{}');
