SELECT true AS boolean, 'a' AS "Text", 'ü"€'',;\' || chr(9) || chr(10) || 'b' AS odd, '' AS blank, NULL AS nothing, 7::TINYINT AS tiny, (-32768)::SMALLINT AS small,
  2147483647 AS "int", (-9223372036854775807) AS big, 4294967295::UINTEGER AS uint, 18446744073709551615::UBIGINT AS ubig, 170141183460469231731687303715884105727::HUGEINT AS huge,
  1.10::DECIMAL(10,2) AS money, (-12345678901234567890123456789.123456789)::DECIMAL(38,9) AS wide, 1.5::FLOAT AS single, 0.1::DOUBLE AS "double", 'inf'::DOUBLE AS infinite,
  DATE '2015-08-18' AS "date", TIME '07:38:40.5' AS "time", TIMESTAMP '2015-08-18 07:38:40.123456' AS stamp, TIMESTAMPTZ '2015-08-18 07:38:40+02' AS stamptz,
  INTERVAL '3 days 04:05:06' AS "interval", '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS uuid, '\x00\xAA'::BLOB AS blob, '{"a": 1.5, "b": []}'::JSON AS json,
  [1, NULL, 3] AS ints, ['a', NULL, 'b"c', '', 'null'] AS texts, struct_pack(a := 1, b := ['x']) AS struct, map(['k'], [1]) AS map, [[1], [2]] AS nested
