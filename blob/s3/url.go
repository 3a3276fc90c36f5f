package s3

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"throng/blob"
)

const (
	// minPart is the least size of a part that S3 takes. Two of them are held by
	// each writer.
	minPart = 5 << 20
	maxPart = 512 << 20
	// maxParts is how many parts S3 takes.
	maxParts = 10_000

	// maxPrefix leaves room for the longest key and what is put behind it in
	// the 1,024 bytes that S3 allows.
	maxPrefix = 50
)

// Config says where a store is and who asks.
type Config struct {
	Bucket string
	// Prefix begins the names of all objects, with a slash behind it; "" is the
	// whole bucket. At most 50 bytes.
	Prefix string
	// Endpoint is an http or https URL without a path. Defaults to Amazon's of
	// the region.
	Endpoint string
	// Region defaults to us-east-1, which stores that know no regions take.
	Region string
	// PartSize is the size of the parts of large blobs, in bytes. A blob has at
	// most 10,000 parts, a writer holds two of them in memory. Defaults to 5 MiB,
	// which makes 48 GiB.
	PartSize int

	// AccessKey, SecretKey and, for keys that end, SessionToken.
	AccessKey, SecretKey, SessionToken string
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ParseURL reads s3://BUCKET/PREFIX?endpoint=URL&region=NAME&part_mib=N. Keys are
// never part of it; the error repeats nothing of a URL that holds any.
func ParseURL(text string) (Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" {
		return Config{}, errors.New("want s3://BUCKET/PREFIX?endpoint=URL")
	}
	if u.User != nil {
		return Config{}, errors.New("keys do not belong into the URL")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, errors.New("the query cannot be read")
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for name, values := range query {
		switch {
		case len(values) > 1:
			return Config{}, fmt.Errorf("%s is given more than once", name)
		case name == "endpoint":
			c.Endpoint = strings.TrimSuffix(values[0], "/")
		case name == "region":
			c.Region = values[0]
		case name == "part_mib":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < minPart>>20 || n > maxPart>>20 {
				return Config{}, errors.New("part_mib: want 5 to 512")
			}
			c.PartSize = n << 20
		default:
			return Config{}, errors.New("the query may have endpoint, region and part_mib")
		}
	}
	_, err = c.withDefaults()
	return c, err
}

func (c Config) withDefaults() (Config, error) {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.PartSize == 0 {
		c.PartSize = minPart
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://s3." + c.Region + ".amazonaws.com"
	}
	if !bucketName.MatchString(c.Bucket) {
		return c, errors.New("the bucket's name must be 3 to 63 letters, digits, dots and hyphens")
	}
	if c.Prefix != "" && (len(c.Prefix) > maxPrefix || blob.CheckKey(c.Prefix) != nil) {
		return c, fmt.Errorf("the prefix must be at most %d bytes of A-Z a-z 0-9 - _ . = + and slashes", maxPrefix)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return c, errors.New("the endpoint must be an http or https URL without a path")
	}
	if c.PartSize < minPart || c.PartSize > maxPart {
		return c, errors.New("the size of parts must be 5 to 512 MiB")
	}
	return c, nil
}
