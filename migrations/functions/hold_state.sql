-- A hold as apply_operations answers it, with times in ms since 1970.
CREATE OR REPLACE FUNCTION hold_state(p_hold holds) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT json_build_object(
           'state', p_hold.state, 'captured', p_hold.captured,
           'createdAt', (extract(epoch FROM p_hold.created_at) * 1000)::double precision,
           'expiresAt', (extract(epoch FROM p_hold.expires_at) * 1000)::double precision,
           'closedAt', (extract(epoch FROM p_hold.closed_at) * 1000)::double precision)
$$;
