package aws

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
)

const adminPrefix = "/_sim/"

func isAdmin(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, adminPrefix) }

// Overview is what GET /_sim/ answers.
type Overview struct {
	Account   string                   `json:"account"`
	Region    string                   `json:"region"`
	Now       time.Time                `json:"now"`
	Services  map[string][]string      `json:"services"` // operations by service
	Durations map[string]time.Duration `json:"durations"`
}

// adminHandler serves whoever runs the simulator:
//
//	GET    /_sim/               what is simulated, and how long things take
//	GET    /_sim/state          the state of every part
//	GET    /_sim/requests       the request log; ?since=SEQ gives what came after
//	GET    /_sim/faults         the fault rules in force, with their counters
//	POST   /_sim/faults         adds the rule in the body and answers its id
//	DELETE /_sim/faults[/ID]    removes one rule, or all
//	GET    /_sim/zones          the zones in which EKS has no room for further clusters
//	PUT    /_sim/zones/NAME     has EKS refuse clusters in a zone; DELETE makes room again
//	POST   /_sim/advance        brings the world to the present
//
// It is not part of AWS and has no signatures; it answers loopback callers only, and none that a web page sent.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/{$}", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, s.overview(), nil) })
	mux.HandleFunc("GET /_sim/state", func(w http.ResponseWriter, _ *http.Request) {
		state, err := s.World.Dump()
		answerJSON(w, state, err)
	})
	mux.HandleFunc("GET /_sim/requests", func(w http.ResponseWriter, r *http.Request) {
		since, err := strconv.Atoi(orText(r.URL.Query().Get("since"), "0"))
		answerJSON(w, s.Requests(since), err)
	})
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, s.Faults().List(), nil) })
	mux.HandleFunc("POST /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		id, err := s.addFault(http.MaxBytesReader(w, r.Body, 1<<20))
		answerJSON(w, map[string]string{"id": id}, err)
	})
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]int{"removed": s.Faults().Clear("")}, nil)
	})
	mux.HandleFunc("DELETE /_sim/faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		removed := s.Faults().Clear(r.PathValue("id"))
		var err error
		if removed == 0 {
			err = errors.New("there is no fault " + r.PathValue("id"))
		}
		answerJSON(w, map[string]int{"removed": removed}, err)
	})
	mux.HandleFunc("GET /_sim/zones", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, s.fullZones(), nil) })
	mux.HandleFunc("PUT /_sim/zones/{name}", func(w http.ResponseWriter, r *http.Request) { s.fillZone(w, r, true) })
	mux.HandleFunc("DELETE /_sim/zones/{name}", func(w http.ResponseWriter, r *http.Request) { s.fillZone(w, r, false) })
	mux.HandleFunc("POST /_sim/advance", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, struct{}{}, s.World.Advance())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r) {
			http.Error(w, "the administration of the simulator is for local callers", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// local tells whether the caller is on this machine and no web page: those carry an Origin, and may reach loopback under a
// name of their own choice.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || r.Header.Get("Origin") != "" {
		return false
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	ip := net.ParseIP(name)
	return net.ParseIP(host).IsLoopback() && (name == "localhost" || ip != nil && ip.IsLoopback())
}

func (s *Server) overview() Overview {
	o := Overview{Account: s.World.Account, Region: s.World.Region, Services: map[string][]string{}, Durations: map[string]time.Duration{}}
	s.World.Look(func() { o.Now = s.World.Now() })
	for _, service := range s.Services() {
		for _, op := range service.Operations() {
			o.Services[service.Title()] = append(o.Services[service.Title()], op.Name)
		}
	}
	for _, name := range s.World.DurationNames() {
		o.Durations[name] = s.World.Duration(name)
	}
	return o
}

func (s *Server) addFault(body io.Reader) (string, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	rule, err := fault.Parse(raw)
	if err != nil {
		return "", err
	}
	return s.Faults().Add(rule)
}

func (s *Server) fillZone(w http.ResponseWriter, r *http.Request, full bool) {
	err := s.World.Do(true, func() error { return s.EKS.FillZone(r.PathValue("name"), full) })
	answerJSON(w, s.fullZones(), err)
}

func (s *Server) fullZones() map[string][]string {
	out := map[string][]string{}
	s.World.Look(func() { out["full"] = s.EKS.FullZones() })
	return out
}

func answerJSON(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = map[string]string{"error": err.Error()}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client may be gone; there is nobody left to tell
}
