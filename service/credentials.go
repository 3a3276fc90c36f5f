package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"throng"
	"throng/delivery"
	"throng/sqldb"
)

// Credentials are what a caller is known by at a destination, kept under a name
// for later deliveries. The secret itself is never told.
type Credentials struct {
	Name, To, Endpoint string
	UpdatedAt          time.Time
}

// maxCredentialsName is the longest name in characters.
const maxCredentialsName = 64

// Where sealed secrets belong: moved elsewhere they do not open.
func deliveryBinding(id int64) string {
	return "deliveries.secret:" + strconv.FormatInt(id, 10)
}

func credentialsBinding(callerID int64, name string) string {
	return "credentials.secret:" + strconv.FormatInt(callerID, 10) + ":" + name
}

// findSecret gives the secret of an order, of those that are kept where it names
// one; they bring their endpoint. found is false where a problem was noted.
func (s *Service) findSecret(
	ctx context.Context, c *throng.Caller, o *DeliveryOrder, set *deliverySettings, bad func(path, format string, args ...any),
) (secret delivery.Secret, found bool, err error) {
	given := o.Credentials
	if given.Name == "" {
		return given.Secret, true, nil
	}
	if !goodCredentialsName(given.Name) {
		bad("credentials.name", "must be 1 to %d letters, digits and any of . _ -", maxCredentialsName)
		return secret, false, nil
	}
	if given.Secret.Given() {
		return given.Secret, true, nil
	}
	kept, err := s.db.Credentials(ctx, c.ID, given.Name)
	if errors.Is(err, sqldb.ErrNotFound) {
		bad("credentials.name", "names none that are kept; send them once with the name")
		return secret, false, nil
	}
	if err != nil {
		return secret, false, err
	}
	if kept.Destination != o.To {
		bad("credentials.name", "names credentials for %s", kept.Destination)
		return secret, false, nil
	}
	if set.Endpoint == "" {
		set.Endpoint = kept.Endpoint
	}
	secret, err = s.openSecret(kept.SecretSealed, credentialsBinding(c.ID, given.Name))
	return secret, err == nil, err
}

func goodCredentialsName(name string) bool {
	return name != "" && len(name) <= maxCredentialsName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// keepSecret seals an order's secret for its delivery, and under a name where
// the order has both.
func (s *Service) keepSecret(
	ctx context.Context, tx *sqldb.Tx, c *throng.Caller, d *sqldb.Delivery, set deliverySettings, given DeliveryCredentials, secret delivery.Secret,
) error {
	if !secret.Given() {
		return nil
	}
	text, err := json.Marshal(secret)
	if err != nil {
		return errors.New("word secret") // and keep what it holds out of the error
	}
	d.SecretSealed = s.cfg.Secrets.Seal(string(text), deliveryBinding(d.ID))
	if err := tx.UpdateDelivery(ctx, d.ID, sqldb.DeliveryUpdate{SecretSealed: &d.SecretSealed, UpdatedAt: d.UpdatedAt}); err != nil {
		return err
	}
	if given.Name == "" || !given.Secret.Given() {
		return nil
	}
	return tx.PutCredentials(ctx, sqldb.Credentials{
		CallerID: c.ID, Name: given.Name, Destination: d.Destination, Endpoint: set.Endpoint,
		SecretSealed: s.cfg.Secrets.Seal(string(text), credentialsBinding(c.ID, given.Name)), UpdatedAt: d.UpdatedAt,
	})
}

func (s *Service) openSecret(sealed, binding string) (secret delivery.Secret, err error) {
	if sealed == "" {
		return secret, nil
	}
	text, err := s.cfg.Secrets.Open(sealed, binding)
	if err != nil {
		return secret, fmt.Errorf("open credentials: %w", err)
	}
	if json.Unmarshal([]byte(text), &secret) != nil {
		return secret, errors.New("read credentials: they are malformed")
	}
	return secret, nil
}

// ListCredentials lists what a caller has kept, by name.
func (s *Service) ListCredentials(ctx context.Context, c *throng.Caller) ([]Credentials, error) {
	rows, err := s.db.ListCredentials(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	list := make([]Credentials, len(rows))
	for i, r := range rows {
		list[i] = Credentials{Name: r.Name, To: r.Destination, Endpoint: r.Endpoint, UpdatedAt: r.UpdatedAt}
	}
	return list, nil
}

// DeleteCredentials forgets what a caller has kept under a name. Deliveries that
// run have their own. NotFound where there is nothing.
func (s *Service) DeleteCredentials(ctx context.Context, c *throng.Caller, name string) error {
	return known(s.db.DeleteCredentials(ctx, c.ID, name), "there are no credentials of this name")
}
