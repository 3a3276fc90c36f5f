package export

import (
	"os"
	"testing"

	"throng/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
