// Package redshift is a warehouse.Database on Amazon Redshift, provisioned or
// serverless. It was never run on AWS: its statements follow the documentation
// (Redshift Database Developer Guide), and are tried on the emulator of
// redshifttest. doc/redshift.md says what that proves.
//
// What it stores in the database is schema arbalest's tables lock_<name>, empty
// and there to be locked. What it stores in the bucket is under Options.Staging:
// <ulid>/ has the rows of one Insert, or the manifest and JSONPaths file of one
// Copy, for as long as the COPY takes; what runs that died left is deleted by
// Open when it is a day old.
//
// The commit point is the transaction's COMMIT. COPY is transactional (Developer
// Guide, "Loading data files": "atomic and transactional"), so that an object
// that is staged, read or left over commits nothing.
//
// Statements without arguments go as simple queries, because COPY, LOCK and DDL
// cannot be prepared (Developer Guide, "PREPARE"). SELECT, INSERT, UPDATE and
// DELETE with arguments go over the extended protocol, unprepared, in one round
// trip, with parameters and results as text: as pgx.QueryExecModeExec does,
// except that the types of strings and times are left to the server, as Amazon's
// JDBC driver leaves those of times, so that one rule serves VARCHAR, DATE and
// TIMESTAMP. Named statements (pgx's default) would tie a statement to a
// connection, QueryExecModeCacheDescribe would ask for binary results, and
// QueryExecModeSimpleProtocol needs standard_conforming_strings, which Redshift
// does not report.
package redshift
