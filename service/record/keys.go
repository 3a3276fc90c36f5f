package record

import (
	"fmt"
	"strconv"
	"strings"
)

// AudiencePrefix begins the keys of all files of an audience.
func AudiencePrefix(id int64) string { return "audiences/" + strconv.FormatInt(id, 10) + "/" }

// InsightPrefix begins the keys of the files of an audience's report. They lie
// apart from those of the audience, which come and go with its builds.
func InsightPrefix(audienceID int64) string { return fmt.Sprintf("insights/%d/", audienceID) }

// CountsKey is the file of the counts of a report, below the prefix of its files.
func CountsKey(prefix string) string { return prefix + "/counts" }

// ReportPrefix is the prefix of the files of a report, of the key of its counts.
func ReportPrefix(key string) string { return strings.TrimSuffix(key, CountsKey("")) }

// ClusterPrefix begins the keys of the files of a cluster, below those of its
// report.
func ClusterPrefix(report string, id int) string { return fmt.Sprintf("%s/cluster-%d", report, id) }

// DeliveryPrefix begins the keys of the files of a delivery.
func DeliveryPrefix(id int64) string { return "deliveries/" + strconv.FormatInt(id, 10) + "/" }

const (
	// IncomingPrefix begins the keys of files that were sent straight to the store,
	// by slot.
	IncomingPrefix = "incoming/"
	// ReceivedPrefix begins those of files that are verified.
	ReceivedPrefix = "received/"
)
