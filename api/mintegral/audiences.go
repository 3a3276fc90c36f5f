package mintegral

import (
	"net/http"

	"throng"
	"throng/api"
)

func (h *handlers) presign(_ http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	name, md5, problems := decodePresign(r.URL.Query())
	if len(problems) > 0 {
		return nil, throng.Refuse(throng.Invalid, problems)
	}
	in, err := h.svc.PresignFile(r.Context(), c, name, md5)
	if err != nil {
		return nil, renamed(err, map[string]string{"name": "file_name", "md5": "file_md5"})
	}
	return fromIncoming(in, name, md5), nil
}

func (h *handlers) createAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	body, err := api.RequireJSON(w, r)
	if err != nil {
		return nil, err
	}
	a, err := h.svc.CreateDevices(r.Context(), c, decodeCreate(body))
	if err != nil {
		return nil, renamed(err, map[string]string{"name": "ta_name", "files": "data_path"})
	}
	return wireID{a.ID}, nil
}

func (h *handlers) updateAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	body, err := api.RequireJSON(w, r)
	if err != nil {
		return nil, err
	}
	id, files, problems := decodeUpdate(body)
	a, err := h.svc.UpdateDevices(r.Context(), c, id, files, problems)
	if err != nil {
		return nil, renamed(err, map[string]string{"id": "ta_id", "files": "data_path"})
	}
	return wireID{a.ID}, nil
}

func (h *handlers) deleteAudiences(w http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	body, err := api.RequireJSON(w, r)
	if err != nil {
		return nil, err
	}
	ids, problems := decodeDelete(body)
	if len(problems) > 0 {
		return nil, throng.Refuse(throng.Invalid, problems)
	}
	return nil, renamed(h.svc.DeleteDevices(r.Context(), c, ids), map[string]string{"ids": "ta_id"})
}

func (h *handlers) listAudiences(_ http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	f, problems := decodeList(r.URL.Query())
	if len(problems) > 0 {
		return nil, throng.Refuse(throng.Invalid, problems)
	}
	list, total, err := h.svc.ListDevices(r.Context(), c, f)
	if err != nil {
		return nil, err
	}
	return fromAudiences(list, total, f), nil
}
