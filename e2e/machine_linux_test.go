package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"throng/internal/durable"
)

// machine is one whose power can be cut. Its files lie on ext4 file systems in
// images, which are what its disks hold: what a process wrote and did not sync
// is in the kernel's memory, and not in the image.
//
// A cut stops the processes, copies the images, and kills. The machine goes on
// with the copies, on which the kernel does what it does with any disk after a
// power cut.
type machine struct {
	t       *testing.T
	folder  string // in memory; the images and the mount points lie there
	options string // of the file systems
	disks   []*disk
	cuts    int

	// Over all cuts, the files that were there and were not any more, that were
	// there otherwise (as the database's shared memory always is, which nobody
	// syncs), and whose removal was lost.
	lost, torn, back int
}

// disk is a file system of a machine.
type disk struct {
	at    string // below the machine's root; "." is the root itself
	image string
	loop  string // the name of its device
}

// notCut is what is not tested where no image can be mounted.
const notCut = "not tested on disks that lose power"

// newMachine makes one with a disk for each of the folders, of which the first
// is ".". No sync of one disk helps what lies on another.
func newMachine(t *testing.T, options string, folders ...string) *machine {
	t.Helper()
	for _, tool := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: %s", tool, notCut)
		}
	}
	// The kernel syncs by itself what is half a minute old, but does not have
	// that be seen: the journal is written when somebody syncs, or in 5 minutes.
	m := &machine{t: t, folder: smallDisk(t, "6g", notCut), options: "loop,noatime,commit=300," + options}
	t.Cleanup(func() { m.unmount(m.world(), m.disks) })
	for i, at := range folders {
		d := &disk{at: at, image: m.image(i)}
		if err := m.format(d.image); err != nil {
			t.Fatalf("make a file system: %v", err)
		}
		if err := m.mount(d, m.world()); err != nil {
			t.Skipf("cannot mount an image: %s: %v", notCut, err)
		}
		m.disks = append(m.disks, d)
		if err := errors.Join(os.Remove(filepath.Join(m.world(), at, "lost+found")), durable.SyncDir(filepath.Join(m.world(), at))); err != nil {
			t.Fatal(err)
		}
		if at == "." {
			for _, below := range folders {
				if err := durable.MkdirAll(filepath.Join(m.world(), below)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	m.show()
	return m
}

// root is where the machine's files are, whichever mounts they lie on now.
func (m *machine) root() string { return filepath.Join(m.folder, "now") }

// world is where the disks are mounted since the last cut.
func (m *machine) world() string { return filepath.Join(m.folder, fmt.Sprintf("world-%d", m.cuts)) }

// image names a disk's image since the last cut.
func (m *machine) image(disk int) string {
	return filepath.Join(m.folder, fmt.Sprintf("disk-%d-%d", disk, m.cuts))
}

func (m *machine) format(image string) error {
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 512<<20); err != nil {
		return err
	}
	return m.command("mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
}

func (m *machine) command(name string, args ...string) error {
	if out, err := exec.CommandContext(m.t.Context(), name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// mount mounts a disk's image in a world and learns its device.
func (m *machine) mount(d *disk, world string) error {
	point := filepath.Join(world, d.at)
	if err := os.MkdirAll(point, 0o700); err != nil {
		return err
	}
	if err := m.command("mount", "-t", "ext4", "-o", m.options, d.image, point); err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == point {
			d.loop = filepath.Base(f[0])
			return nil
		}
	}
	return fmt.Errorf("%s is not among the mounts", point)
}

// unmount unmounts a world's disks, the root's last, and removes their images.
func (m *machine) unmount(world string, disks []*disk) {
	m.t.Helper()
	for _, d := range slices.Backward(disks) {
		unmount(m.t, filepath.Join(world, d.at))
		if err := os.Remove(d.image); err != nil {
			m.t.Errorf("remove an image: %v", err)
		}
	}
}

// show has the root be the world, in one step.
func (m *machine) show() {
	m.t.Helper()
	next := filepath.Join(m.folder, "next")
	if err := os.Symlink(filepath.Base(m.world()), next); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(next, m.root()); err != nil {
		m.t.Fatal(err)
	}
}

// cut cuts the power, which is the end of the processes, and turns it on again.
// A process may have ended before. Whoever started one waits for its end.
func (m *machine) cut(running ...*os.Process) {
	m.t.Helper()
	for _, p := range running {
		m.freeze(p)
	}
	before, old, began := m.world(), m.disks, time.Now()
	m.cuts++
	m.disks = nil
	var copied []*disk
	for i, d := range old {
		c := &disk{at: d.at, image: m.image(i)}
		if err := d.copyTo(c.image); err != nil {
			m.t.Fatalf("copy the disk of %s: %v", d.at, err)
		}
		copied = append(copied, c)
	}
	took := time.Since(began)
	for _, p := range running {
		_ = p.Kill() // it may have ended
	}
	for _, c := range copied {
		if err := m.mount(c, m.world()); err != nil {
			m.t.Fatalf("mount the disk of %s after a power cut: %v", c.at, err)
		}
		m.disks = append(m.disks, c)
	}
	m.compare(before)
	m.show()
	m.unmount(before, old)
	m.t.Logf("power cut: the disks were copied in %d ms and used again after %d", took.Milliseconds(), time.Since(began).Milliseconds())
}

// freeze stops a process and waits until none of its threads does anything, not
// even in the kernel.
func (m *machine) freeze(p *os.Process) {
	m.t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return // it has ended
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) { // between two looks
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
		if err != nil {
			m.t.Fatal(err)
		}
		if !slices.ContainsFunc(stats, busy) {
			return
		}
		if time.Since(began) > time.Minute {
			m.t.Fatalf("process %d is not stopped after a minute", p.Pid)
		}
	}
}

// busy tells whether a thread, whose stat file this is, can do something.
func busy(stat string) bool {
	text, err := os.ReadFile(stat)
	if err != nil {
		return false // it has ended
	}
	_, state, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')'):], []byte(" "))
	return !bytes.ContainsAny(state[:1], "TtZX")
}

// copyTo copies the image, which takes a moment: where the kernel wrote to it
// meanwhile, by itself, once more.
func (d *disk) copyTo(image string) error {
	for range 100 {
		before, err := d.written()
		if err == nil {
			err = copySparse(d.image, image)
		}
		if err != nil {
			return err
		}
		after, err := d.written()
		if err != nil {
			return err
		}
		if after == before {
			return nil
		}
	}
	return errors.New("the kernel writes to it all the time")
}

// written tells what was written to the disk, and what is on the way there.
func (d *disk) written() (string, error) {
	text, err := os.ReadFile(filepath.Join("/sys/block", d.loop, "stat"))
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(text))
	if len(f) < 9 {
		return "", fmt.Errorf("statistics of %s are %q", d.loop, text)
	}
	return fmt.Sprintf("%s writes, %s under way", f[4], f[8]), nil
}

// copySparse copies a file but for its holes.
func copySparse(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	const seekData, seekHole = 3, 4
	for at := int64(0); ; {
		start, err := src.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) { // the rest is a hole
			return dst.Truncate(info.Size())
		}
		if err != nil {
			return err
		}
		if at, err = src.Seek(start, seekHole); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, start), io.NewSectionReader(src, start, at-start)); err != nil {
			return err
		}
	}
}

// compare holds the files that are there after a power cut to those before it,
// as processes saw them. None that has its final name is other than it was.
func (m *machine) compare(before string) {
	m.t.Helper()
	was, is := m.files(before), m.files(m.world())
	for _, name := range sortedKeys(was) {
		now, there := is[name]
		switch {
		case !there:
			m.lost++
		case !bytes.Equal(now, was[name]):
			m.torn++
			if !changing(name) {
				m.t.Errorf("after a power cut %s has %d bytes and is not the file of %d bytes that had this name", name, len(now), len(was[name]))
			}
		}
	}
	for name := range is {
		if _, there := was[name]; !there {
			m.back++
		}
	}
}

// changing tells of a file that is not made once and for all: one that has not
// got its name yet, the database, and what names the current generation, which
// is one or the other.
func changing(name string) bool {
	return strings.Contains(name, "tmp") || strings.Contains(name, "throng.db") || filepath.Base(name) == "CURRENT"
}

// files reads all files of a world.
func (m *machine) files(world string) map[string][]byte {
	m.t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(world, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(world, path)
		all[name] = text
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}
