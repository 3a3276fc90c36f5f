package e2e

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throng/client"
	"throng/internal/s3test"
)

// TestBackupOfServers makes a backup of a PostgreSQL database and a bucket under
// load by the commands of docs/operate.md, restores both elsewhere, and starts a
// server there: what was finished has the same files, what was running ends, what
// was to be called back is.
func TestBackupOfServers(t *testing.T) {
	for _, tool := range []string{"pg_dump", "pg_restore", "rclone"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not there: backups of several servers are not tested; scripts/postgres and scripts/rclone install it", tool)
		}
	}
	t.Parallel() // it waits, mostly: for the lease of a job whose server is not in the backup
	c := newCluster(t)
	data := c.folder()
	c.must(data, "load", smallDataset(t))
	k := newKept(t, c.must(data, append([]string{"caller", "add", "kept", "--json"}, allGrants()...)...))
	p := c.start(data, "--allow-private-callbacks")
	api := client.New(p.URL, k.Token)
	called, want := k.build(t, p)
	remove(t.Context(), p, k.Token, c.build(api).ID) // whose files are marked as gone
	doomed := c.build(api).ID
	c.age(2 * time.Hour)

	load := k.load(t, p)
	began := time.Now()
	restored := c.backup(filepath.Join(t.TempDir(), "throng.dump"), func() { remove(t.Context(), p, k.Token, doomed) })
	t.Logf("backup under load: %v", time.Since(began).Round(time.Millisecond))
	ids := load.stop()
	p.kill() // the receiver is to hear from the restored server alone
	k.listen()

	elsewhere := c.folder()
	q := restored.start(elsewhere, "--allow-private-callbacks")
	within(t, time.Minute, "the restored server", func() bool { code, _ := q.get(t, "/readyz"); return code == http.StatusOK })
	checkRestored(t, q, k.Token, append(ids, called, doomed))
	if _, err := client.New(q.URL, k.Token).Audience(t.Context(), doomed); err != nil {
		t.Errorf("the audience that was deleted after the dump: %v", err)
	}
	k.wantCalled(t, q)
	if a := restored.build(client.New(q.URL, k.Token)); *a.Size != want {
		t.Errorf("an audience of the restored server has %d members, want %d", *a.Size, want)
	}
	restored.must(elsewhere, "check")
}

// age makes everything older that is in the bucket of the cluster.
func (c *cluster) age(by time.Duration) {
	c.t.Helper()
	dir := os.Getenv("THRONG_TEST_S3_DIR")
	if dir == "" {
		c.t.Skip("THRONG_TEST_S3_DIR is not set: objects cannot be made older; scripts/s3 sets it")
	}
	old := time.Now().Add(-by)
	err := filepath.WalkDir(filepath.Join(dir, strings.TrimPrefix(c.bucket().Path, "/")), func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, old, old)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// setting gives the value of a flag that all servers share.
func (c *cluster) setting(flag string) string {
	for i, f := range c.flags {
		if f == flag {
			return c.flags[i+1]
		}
	}
	c.t.Fatalf("the servers have no %s", flag)
	return ""
}

func (c *cluster) bucket() *url.URL {
	c.t.Helper()
	u, err := url.Parse(c.setting("--blobs"))
	if err != nil {
		c.t.Fatal("THRONG_TEST_S3 is no URL")
	}
	return u
}

// backup does what docs/operate.md says, and gives what it is restored to: another
// database, and another folder of the bucket. Between the dump and the copy it calls
// between.
func (c *cluster) backup(dump string, between func()) *cluster {
	c.t.Helper()
	to := s3test.URL(c.t)
	database, schema := c.libpq()
	target := *database
	target.Path = "/" + schema
	copied := &cluster{t: c.t, flags: []string{"--database", withSearchPath(target, schema), "--blobs", to, "--secret-key", c.setting("--secret-key")}}
	copied.database = copied.setting("--database")

	since := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	c.tool(nil, "pg_dump", "--format=custom", "--file="+dump, "--schema="+schema, database.String())
	between()
	bucket := []string{"from:" + c.bucket().Host + c.bucket().Path, "from:" + copied.bucket().Host + copied.bucket().Path}
	rclone := func(args ...string) {
		c.t.Helper()
		c.tool(c.rcloneEnv(), "rclone", append(append([]string{"copy", "--use-server-modtime", "--ignore-existing"}, args...), bucket...)...)
	}
	rclone("--min-age", since)
	rclone("--exclude", "*-gone-0")

	c.tool(nil, "psql", "--quiet", "--command=CREATE DATABASE "+schema, database.String())
	c.t.Cleanup(func() {
		c.tool(nil, "psql", "--quiet", "--command=DROP DATABASE "+schema+" WITH (FORCE)", database.String())
	})
	c.tool(nil, "pg_restore", "--no-owner", "--dbname="+target.String(), dump)
	return copied
}

// libpq gives the URL of the database as PostgreSQL's own programs take it, and the
// schema that the test has there.
func (c *cluster) libpq() (u *url.URL, schema string) {
	c.t.Helper()
	u, err := url.Parse(c.database)
	if err != nil {
		c.t.Fatal("the URL of the database is none")
	}
	q := u.Query()
	schema = q.Get("search_path")
	q.Del("search_path")
	u.RawQuery = q.Encode()
	return u, schema
}

func withSearchPath(u url.URL, schema string) string {
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// rcloneEnv makes the test's S3 server the remote "from".
func (c *cluster) rcloneEnv() []string {
	return []string{
		"RCLONE_CONFIG=" + filepath.Join(c.t.TempDir(), "rclone.conf"), "RCLONE_S3_NO_CHECK_BUCKET=true",
		"RCLONE_CONFIG_FROM_TYPE=s3", "RCLONE_CONFIG_FROM_PROVIDER=Other", "RCLONE_CONFIG_FROM_ENV_AUTH=true",
		"RCLONE_CONFIG_FROM_ENDPOINT=" + c.bucket().Query().Get("endpoint"), "RCLONE_CONFIG_FROM_REGION=us-east-1", "AWS_CA_BUNDLE=",
	}
}

// tool runs a program that is not ours.
func (c *cluster) tool(env []string, name string, args ...string) {
	c.t.Helper()
	cmd := exec.Command(name, args...) //nolint:noctx // it is called by cleanups, too
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
