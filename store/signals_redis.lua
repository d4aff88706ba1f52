-- Keeps the newest actions of some accounts: KEYS are sorted sets, one an account.
-- ARGV: the most to keep of each, the oldest score in keep, seconds until a key expires; then for each key the number
-- of its actions, and score and bytes of each. A member that is there already stays as it is.
local most, oldest, expires = tonumber(ARGV[1]), '(' .. ARGV[2], ARGV[3]
local at = 4
for _, key in ipairs(KEYS) do
  local last = at + 2 * tonumber(ARGV[at])
  redis.call('ZADD', key, unpack(ARGV, at + 1, last))
  redis.call('ZREMRANGEBYSCORE', key, '-inf', oldest)
  redis.call('ZREMRANGEBYRANK', key, 0, -most - 1)
  redis.call('EXPIRE', key, expires)
  at = last + 1
end
