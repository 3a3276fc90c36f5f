package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"throng/internal/durable"
)

// CurrentName is the file of an index that names the generation in use: its
// id, a space, the CRC32C of the id in eight hexadecimal digits and a line
// end. Written by hand, it may be the id and a line end alone.
const CurrentName = "CURRENT"

// bareID is how long an id may be that stands alone: less than what an id of
// eight letters becomes where a damage makes the space behind it a letter.
const bareID = 16

// ValidID tells whether id can be the name of a generation's folder.
func ValidID(id string) bool {
	const allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	return id != "" && len(id) <= 64 && strings.Trim(id, allowed) == ""
}

func currentLine(id string) string {
	return fmt.Sprintf("%s %08x\n", id, crc32.Checksum([]byte(id), castagnoli))
}

// WriteCurrent makes a generation the one in use, durably and in one step.
func WriteCurrent(index, id string) error {
	return durable.WriteFile(filepath.Join(index, CurrentName), []byte(currentLine(id)))
}

// ReadCurrent reads the id of the generation in use; "" where nothing was
// loaded. A damaged file is an error that wraps [ErrCorrupt].
func ReadCurrent(index string) (string, error) {
	path := filepath.Join(index, CurrentName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read current generation: %w", err)
	}
	text := string(b)
	id, _, sum := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	if !ValidID(id) || sum && text != currentLine(id) || !sum && (text != id+"\n" || len(id) > bareID) {
		return "", fmt.Errorf("%w: %s: names no generation; load the dataset again, or write the id of a generation and a line end into it", ErrCorrupt, path)
	}
	return id, nil
}
