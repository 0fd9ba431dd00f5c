package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	admission "k8s.io/api/admission/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pages are the servers beside the API server.
type pages struct {
	port             int32
	webhook, expired string
}

func servePages(keys *keys) (*pages, error) {
	good, err := serve(keys.server)
	if err != nil {
		return nil, err
	}
	old, err := serve(keys.expired)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", logs)
	mux.HandleFunc("POST /deny", deny)
	go func() { _ = http.Serve(good, mux) }()
	go func() { _ = http.Serve(old, http.NotFoundHandler()) }()
	return &pages{
		port:    int32(good.Addr().(*net.TCPAddr).Port),
		webhook: fmt.Sprintf("https://%s/deny", good.Addr()),
		expired: fmt.Sprintf("https://%s", old.Addr()),
	}, nil
}

// logs is the part of a kubelet that `kubectl logs` and our own reports of a failed rollout ask.
func logs(out http.ResponseWriter, request *http.Request) {
	fmt.Fprintf(out, "last words of %s in %s\n", request.PathValue("container"), request.PathValue("namespace"))
}

// deny is an admission webhook whose answer is always no.
func deny(out http.ResponseWriter, request *http.Request) {
	var review admission.AdmissionReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(out, "not a review", http.StatusBadRequest)
		return
	}
	review.Response = &admission.AdmissionResponse{
		UID: review.Request.UID, Result: &meta.Status{Message: "the house rules forbid it", Code: http.StatusForbidden},
	}
	review.Request = nil
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(review)
}
