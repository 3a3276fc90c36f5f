package sqldb

import (
	"testing"
	"time"
)

func TestOldSecrets(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		one, two := addCaller(t, db, "one"), addCaller(t, db, "two")
		keep := func(caller int64, kind SecretKind, hash, sealed string, ends time.Duration) OldSecret {
			t.Helper()
			s := OldSecret{CallerID: caller, Kind: kind, Hash: hash, Sealed: sealed, EndsAt: noon.Add(ends).UTC()}
			check(t, db.KeepOldSecret(ctx, s))
			return s
		}
		token := keep(one, SecretToken, "old hash", "", time.Hour)
		first := keep(one, SecretWebhook, "", "v1.first", time.Hour)
		second := keep(one, SecretWebhook, "", "v1.second", 2*time.Hour)
		keep(two, SecretWebhook, "", "v1.other", 2*time.Hour)
		old := func(kind SecretKind, after time.Duration) []OldSecret {
			t.Helper()
			return must[[]OldSecret](t)(db.OldSecrets(ctx, one, kind, noon.Add(after)))
		}
		diff(t, "webhook secrets", []OldSecret{second, first}, old(SecretWebhook, 0))
		diff(t, "webhook secrets after an hour", []OldSecret{second}, old(SecretWebhook, time.Hour))
		diff(t, "tokens", []OldSecret{token}, old(SecretToken, time.Hour-time.Microsecond))
		diff(t, "API keys", []OldSecret(nil), old(SecretAPIKey, 0))

		c := must[Caller](t)(db.CallerByOldToken(ctx, "old hash", noon))
		diff(t, "caller of an old token", one, c.ID)
		_, err := db.CallerByOldToken(ctx, "old hash", noon.Add(time.Hour))
		wantErr(t, "CallerByOldToken that has ended", err, ErrNotFound)
		_, err = db.CallerByOldToken(ctx, "", noon)
		wantErr(t, "CallerByOldToken of nothing", err, ErrNotFound) // others have no hash

		check(t, db.EndOldSecrets(ctx, one, SecretWebhook, noon.Add(90*time.Minute)))
		diff(t, "webhook secrets that were ended", []OldSecret(nil), old(SecretWebhook, 90*time.Minute))
		diff(t, "webhook secrets before", 2, len(old(SecretWebhook, 0)))
		check(t, db.SweepOldSecrets(ctx, noon.Add(time.Hour)))
		diff(t, "what a sweep leaves", 1, len(old(SecretWebhook, -time.Hour)))

		check(t, db.RevokeCaller(ctx, one, noon))
		diff(t, "secrets of a revoked caller", 0, len(old(SecretWebhook, -time.Hour)))
		left := must[[]OldSecret](t)(db.OldSecrets(ctx, two, SecretWebhook, noon))
		diff(t, "those of another", 1, len(left))
	})
}
