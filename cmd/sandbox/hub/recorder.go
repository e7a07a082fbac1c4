package hub

import (
	"bytes"
	"net/http"
)

// recorder keeps an answer until it is known whether it may be sent.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, code: http.StatusOK} }

func (rec *recorder) Header() http.Header         { return rec.header }
func (rec *recorder) WriteHeader(code int)        { rec.code = code }
func (rec *recorder) Write(p []byte) (int, error) { return rec.body.Write(p) }

// send answers with what was kept.
func (rec *recorder) send(w http.ResponseWriter) {
	for key, values := range rec.header {
		w.Header()[key] = values
	}
	w.WriteHeader(rec.code)
	_, _ = w.Write(rec.body.Bytes())
}
