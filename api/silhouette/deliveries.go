package silhouette

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/delivery"
	"throng/service"
)

func (h *handlers) createDelivery(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, body, err := audienceAndBody(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), fromDeliveryMade, func(once *service.Once) (any, error) {
		return h.svc.StartDelivery(r.Context(), c, id, DecodeDelivery(body), once)
	})
}

func (h *handlers) listDeliveries(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	list, next, err := h.svc.Deliveries(r.Context(), c, id, pageFrom(r.URL.Query()))
	if err != nil {
		return err
	}
	data := make([]wireDelivery, len(list))
	for i, d := range list {
		data[i] = fromDelivery(d)
	}
	return answer(w, pageOf(data, next))
}

func (h *handlers) getDelivery(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, n, err := deliveryID(r)
	if err != nil {
		return err
	}
	d, err := h.svc.Delivery(r.Context(), c, id, n)
	if err != nil {
		return err
	}
	return answer(w, fromDelivery(*d))
}

func (h *handlers) cancelDelivery(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, n, err := deliveryID(r)
	if err != nil {
		return err
	}
	if err := h.svc.CancelDelivery(r.Context(), c, id, n); err != nil {
		return err
	}
	return answer(w, ended{n, string(throng.Canceled)})
}

func deliveryID(r *http.Request) (audience, n int64, err error) {
	if audience, err = audienceID(r); err != nil {
		return 0, 0, err
	}
	if n, err = strconv.ParseInt(chi.URLParam(r, "n"), 10, 64); err != nil {
		return 0, 0, throng.Errorf(throng.NotFound, "there is no such delivery: an id is a number")
	}
	return audience, n, nil
}

func (h *handlers) listCredentials(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	list, err := h.svc.ListCredentials(r.Context(), c)
	if err != nil {
		return err
	}
	data := make([]wireCredentials, len(list))
	for i, k := range list {
		data[i] = wireCredentials{Name: k.Name, To: k.To, Endpoint: k.Endpoint, UpdatedAt: moment(k.UpdatedAt)}
	}
	return answer(w, struct {
		Data []wireCredentials `json:"data"`
	}{data})
}

func (h *handlers) deleteCredentials(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	name := chi.URLParam(r, "name")
	if err := h.svc.DeleteCredentials(r.Context(), c, name); err != nil {
		return err
	}
	return answer(w, struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	}{name, "deleted"})
}

// DecodeDelivery reads the body of POST /audiences/{id}/deliveries. What is
// wrong with it is in the order's Problems; what was ignored, in its Warnings.
func DecodeDelivery(body []byte) service.DeliveryOrder {
	r := &throng.Reader{}
	var d service.DeliveryOrder
	if o := r.Object(body, ""); o != nil {
		d.To = optionalText(r, o, "to")
		d.Name = optionalText(r, o, "name")
		d.Endpoint = optionalText(r, o, "endpoint")
		d.Platform = optionalText(r, o, "platform")
		d.PlainAs = optionalText(r, o, "ma_id_as")
		d.Update = optionalID(r, o, "update")
		if raw, ok := o.Take("wait"); ok {
			d.Wait = r.Flag(raw, "wait")
		}
		if raw, ok := o.Take("credentials"); ok {
			d.Credentials = decodeCredentials(r, r.Object(raw, "credentials"))
		}
		o.Rest()
	}
	d.Problems, d.Warnings = r.Findings()
	return d
}

func decodeCredentials(r *throng.Reader, o *throng.Object) (c service.DeliveryCredentials) {
	if o == nil {
		return c
	}
	c.Name = optionalText(r, o, "name")
	c.Secret = delivery.Secret{AccessKey: optionalText(r, o, "access_key"), APIKey: optionalText(r, o, "api_key")}
	o.Rest()
	return c
}

// optionalID reads a string, or a number in its place as it is written.
func optionalID(r *throng.Reader, o *throng.Object, key string) string {
	raw, ok := o.Take(key)
	if !ok {
		return ""
	}
	if raw = bytes.TrimSpace(raw); len(bytes.Trim(raw, "0123456789")) == 0 {
		return string(raw)
	}
	s, _ := r.Text(raw, o.At(key))
	return s
}

type wireDelivery struct {
	ID            int64           `json:"id"`
	AudienceID    int64           `json:"audience_id"`
	To            string          `json:"to"`
	Name          string          `json:"name"`
	Status        throng.Status   `json:"status"`
	Step          string          `json:"step"`
	Progress      float64         `json:"progress"`
	Endpoint      string          `json:"endpoint"`
	Platform      string          `json:"platform"`
	MAIDAs        string          `json:"ma_id_as"`
	Update        string          `json:"update"`
	Wait          bool            `json:"wait"`
	Lists         []wireDevices   `json:"lists"`
	Sent          []delivery.Sent `json:"sent"`
	RemoteID      *string         `json:"remote_id"`
	Warnings      []string        `json:"warnings"`
	Error         *throng.Failure `json:"error"`
	Failures      int             `json:"failures"`
	NextAttemptAt *time.Time      `json:"next_attempt_at"`
	CreatedAt     *time.Time      `json:"created_at"`
	UpdatedAt     *time.Time      `json:"updated_at"`
	FinishedAt    *time.Time      `json:"finished_at"`
}

// wireDevices is how many device ids of a type there are.
type wireDevices struct {
	Type string `json:"type"`
	Rows int64  `json:"rows"`
}

type wireCredentials struct {
	Name      string     `json:"name"`
	To        string     `json:"to"`
	Endpoint  string     `json:"endpoint"`
	UpdatedAt *time.Time `json:"updated_at"`
}

func fromDeliveryMade(made any) any {
	d, ok := made.(*service.Delivery)
	if !ok {
		return nil
	}
	return fromDelivery(*d)
}

// RenderDelivery gives what GET /audiences/{id}/deliveries/{n} answers, envelope
// and all.
func RenderDelivery(d *service.Delivery) ([]byte, error) { return wrap(fromDelivery(*d)) }

func fromDelivery(d service.Delivery) wireDelivery {
	v := wireDelivery{
		ID: d.ID, AudienceID: d.AudienceID, To: d.To, Name: d.Name, Status: d.Status, Step: d.Step, Progress: d.Progress,
		Endpoint: d.Endpoint, Platform: d.Platform, MAIDAs: d.PlainAs, Update: d.Update, Wait: d.Wait,
		Lists: []wireDevices{}, Sent: notNil(d.Sent), Warnings: notNil(d.Warnings), Error: d.Failure, Failures: d.Failures,
		NextAttemptAt: moment(d.NextAttemptAt), CreatedAt: moment(d.CreatedAt), UpdatedAt: moment(d.UpdatedAt), FinishedAt: moment(d.FinishedAt),
	}
	for _, l := range d.Lists {
		v.Lists = append(v.Lists, wireDevices{string(l.Type), l.Rows})
	}
	if d.RemoteID != "" {
		v.RemoteID = &d.RemoteID
	}
	return v
}
