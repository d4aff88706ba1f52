-- Keys that programs call the API with. Of a key there is only its SHA-256: the secret is random, and shown once.
-- Revoked ones stay: they say who had access and when, and that this Footfall asks for keys at all.
CREATE TABLE api_key (
    key_id text PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['ingest', 'read', 'operate'] AND cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
