"""SQL that the owner installs in `public`: cloning the template schema, and noting a duty."""

CLONE_SCHEMA = """
CREATE OR REPLACE FUNCTION public.atrium_clone_schema(src text, dst text) RETURNS void LANGUAGE plpgsql AS $$
-- Tables, rows, constraints, indexes and identity sequences; not views, triggers, partitions or functions
-- (a test refuses those).
DECLARE r record; ddl text[] := '{}'; s text; mx bigint; old text := current_setting('search_path');
BEGIN
  EXECUTE format('CREATE SCHEMA %I', dst);
  FOR r IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = src::regnamespace AND c.relkind = 'r'
    ORDER BY 1 LOOP
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL EXCLUDING INDEXES)',
      dst, r.relname, src, r.relname);
    EXECUTE format('INSERT INTO %I.%I OVERRIDING SYSTEM VALUE SELECT * FROM %I.%I',
      dst, r.relname, src, r.relname);
  END LOOP;
  -- With the source first in search_path, the definitions print unqualified names ...
  PERFORM set_config('search_path', quote_ident(src) || ',public', true);
  SELECT array_agg(
      format('ALTER TABLE %I ADD CONSTRAINT %I %s', c.relname, k.conname, pg_get_constraintdef(k.oid, true))
      ORDER BY k.contype = 'f', c.relname)
    INTO ddl FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE k.connamespace = src::regnamespace AND k.contype IN ('p', 'u', 'x', 'f');
  ddl := (SELECT coalesce(array_agg(pg_get_indexdef(i.indexrelid, 0, true)), '{}')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relnamespace = src::regnamespace
      AND NOT EXISTS (
        SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  ) || ddl;
  -- ... which replay in the new schema under their original names.
  PERFORM set_config('search_path', quote_ident(dst) || ',public', true);
  FOREACH s IN ARRAY ddl LOOP EXECUTE s; END LOOP;
  FOR r IN SELECT c.relname, a.attname, a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = dst::regnamespace AND a.attidentity <> '' LOOP
    EXECUTE format('ALTER SEQUENCE %s AS %s',
      pg_get_serial_sequence(quote_ident(dst) || '.' || quote_ident(r.relname), r.attname),
      format_type(r.atttypid, NULL));
    EXECUTE format('SELECT max(%I) FROM %I', r.attname, r.relname) INTO mx;
    IF mx IS NOT NULL THEN
      PERFORM setval(
        pg_get_serial_sequence(quote_ident(dst) || '.' || quote_ident(r.relname), r.attname), mx);
    END IF;
  END LOOP;
  PERFORM set_config('search_path', old, true);
END $$;
REVOKE ALL ON FUNCTION public.atrium_clone_schema(text, text) FROM PUBLIC;
"""

NOTE_DUTY = """
CREATE OR REPLACE FUNCTION public.atrium_duty(kind text, due_at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog AS $$
  -- The role the session has taken names the tenant: nobody can note a duty for another.
  INSERT INTO public.tenants_duty (role, kind, due_at) VALUES (current_setting('role'), kind, due_at)
$$;
REVOKE ALL ON FUNCTION public.atrium_duty(text, timestamptz) FROM PUBLIC;
"""
