package throng

// CallerLimits are what a caller may take; 0 is no limit.
type CallerLimits struct {
	RequestsPerSecond int
	WaitingBuilds     int   // builds that wait for their turn; as many readings of devices, and deliveries
	StoredMiB         int64 // of uploads, audiences' files, lists of devices and files sent, in MiB
}

// MaxStoredMiB keeps limits of stored bytes within what can be counted.
const MaxStoredMiB = 1 << 40

// DefaultWaitingBuilds is the limit of a caller for whom none was set. One that
// waits is a row and nothing else; a thousand are some minutes of work.
const DefaultWaitingBuilds = 1000
