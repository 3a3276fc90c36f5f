package sqldb

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What says that there is no room is known by it, whatever database says so, and
// nothing else is.
func TestFull(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("insert: %w", &pgconn.PgError{Code: "53100", Message: "could not extend file"}), true},
		{fmt.Errorf("insert: %w", &pgconn.PgError{Code: "53200"}), false}, // out of memory
		{fmt.Errorf("insert: %w", syscall.ENOSPC), true},
		{ErrConflict, false},
		{nil, false},
	} {
		got := full(tt.err)
		if errors.Is(got, syscall.ENOSPC) != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("full(%v) = %v, want no room: %v", tt.err, got, tt.want)
		}
	}
}

// A database that may not grow refuses what is more, keeps what it has, and
// takes more when it may grow again.
func TestFullDatabase(t *testing.T) {
	db := openTest(t, Config{URL: filepath.Join(t.TempDir(), "throng.db")})
	ctx := t.Context()
	pages := func(n int) { // of the one connection that writes
		t.Helper()
		if _, err := db.writer.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, n)); err != nil {
			t.Fatal(err)
		}
	}
	id := addCaller(t, db, "kept")
	pages(1) // as many as there are
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		_, err = db.InsertAudience(ctx, Audience{CallerID: id, Kind: "built", Name: fmt.Sprint(n), CreatedAt: noon})
	}
	wantErr(t, "InsertAudience without room", err, syscall.ENOSPC)
	stored := must[int64](t)(db.CountAudiences(ctx, AudienceFilter{CallerID: id}))
	if stored != int64(n-1) {
		t.Errorf("%d audiences are there, want the %d that were stored", stored, n-1)
	}
	pages(1 << 20)
	addAudience(t, db, Audience{CallerID: id})
}
