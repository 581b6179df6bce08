package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credential is what a signer must know, and whom its signature stands for.
type Credential struct {
	Secret string
	// SessionToken is that of temporary credentials; such a request must carry it.
	SessionToken string
	// Expires is when temporary credentials end; zero means never.
	Expires time.Time
	Caller  Caller
}

// Verifier checks signatures of version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
type Verifier struct {
	// Keys finds the credential of an access key id.
	Keys func(accessKey string) (Credential, bool)
	// Clock is the time against which credentials and, without a SignClock, signatures expire.
	Clock func() time.Time
	// SignClock is the time that signers go by, where that is not Clock's: tests move the world's time, and clients go on
	// signing by their own.
	SignClock func() time.Time
	// Region is the one served. Services without regions sign for us-east-1, which is accepted for them.
	Region string
}

// Fault is why a signature was refused. The protocols have different codes for the same fault.
type Fault int

// The reasons.
const (
	NotSigned Fault = iota + 1
	Incomplete
	UnknownKey
	WrongToken
	Expired
	Stale
	Mismatch
	WrongRegion
)

// SignatureError says that a request is not signed as it must be.
type SignatureError struct {
	Fault Fault
	Text  string
}

func (e *SignatureError) Error() string { return e.Text }

// Signature is the signed part of a request.
type Signature struct {
	AccessKey, Date, Region, Service string
	SignedHeaders                    []string
	Value                            string
	Time                             time.Time
	Presigned                        bool
	Lifetime                         time.Duration // of a presigned request
	token                            string
}

const (
	algorithm   = "AWS4-HMAC-SHA256"
	amzTime     = "20060102T150405Z"
	maxSkew     = 15 * time.Minute
	maxLifetime = 7 * 24 * time.Hour
)

// ParseSignature reads the Authorization header or the X-Amz-* query parameters; it verifies nothing.
func ParseSignature(r *http.Request) (*Signature, error) {
	query := r.URL.Query()
	if query.Get("X-Amz-Algorithm") != "" {
		return parsePresigned(query)
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, &SignatureError{NotSigned, "Missing Authentication Token"}
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return nil, &SignatureError{Incomplete, "Authorization header requires the algorithm " + algorithm}
	}
	parts := map[string]string{}
	for item := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(item), "=")
		parts[k] = v
	}
	s := &Signature{SignedHeaders: strings.Split(parts["SignedHeaders"], ";"), Value: parts["Signature"], token: r.Header.Get("X-Amz-Security-Token")}
	return s, s.complete(parts["Credential"], r.Header.Get("X-Amz-Date"))
}

func parsePresigned(query url.Values) (*Signature, error) {
	if query.Get("X-Amz-Algorithm") != algorithm {
		return nil, &SignatureError{Incomplete, "X-Amz-Algorithm must be " + algorithm}
	}
	s := &Signature{
		SignedHeaders: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), Value: query.Get("X-Amz-Signature"),
		token: query.Get("X-Amz-Security-Token"), Presigned: true,
	}
	// The presigner of STS, which EKS tokens come from, may leave X-Amz-Expires out; AWS then takes 15 minutes.
	s.Lifetime = maxSkew
	if text := query.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 || time.Duration(seconds)*time.Second > maxLifetime {
			return nil, &SignatureError{Incomplete, "X-Amz-Expires must be a number of seconds up to a week"}
		}
		s.Lifetime = time.Duration(seconds) * time.Second
	}
	return s, s.complete(query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

func (s *Signature) complete(credential, date string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || s.Value == "" {
		return &SignatureError{Incomplete, "the signature needs Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders and Signature"}
	}
	s.AccessKey, s.Date, s.Region, s.Service = scope[0], scope[1], scope[2], scope[3]
	t, err := time.Parse(amzTime, date)
	if err != nil || !strings.HasPrefix(date, s.Date) {
		return &SignatureError{Incomplete, "X-Amz-Date must be a time like " + amzTime + " of the credential scope's date"}
	}
	s.Time = t
	if !slices.Contains(s.SignedHeaders, "host") {
		return &SignatureError{Incomplete, "the host header must be signed"}
	}
	return nil
}

// Verify proves that the request was signed with a known key and tells whose. body is the whole body of r.
func (v Verifier) Verify(r *http.Request, s *Signature, body []byte) (Caller, error) {
	credential, ok := v.Keys(s.AccessKey)
	now := v.Clock()
	switch {
	case !ok:
		return Caller{}, &SignatureError{UnknownKey, "The security token included in the request is invalid."}
	case credential.SessionToken != s.token:
		return Caller{}, &SignatureError{WrongToken, "The security token included in the request is invalid."}
	case !credential.Expires.IsZero() && !now.Before(credential.Expires):
		return Caller{}, &SignatureError{Expired, "The security token included in the request is expired"}
	case s.Region != v.Region && (s.Region != "us-east-1" || !global(s.Service)):
		return Caller{}, &SignatureError{WrongRegion, "Credential should be scoped to a valid region, not '" + s.Region + "'. This simulator serves " + v.Region + "."}
	}
	if v.SignClock != nil {
		now = v.SignClock()
	}
	if err := s.timely(now); err != nil {
		return Caller{}, err
	}
	payload, err := payloadHash(r, body)
	if err != nil {
		return Caller{}, err
	}
	want := sign(credential.Secret, s, canonicalRequest(r, s, payload))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.Value)) != 1 {
		return Caller{}, &SignatureError{Mismatch, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	return credential.Caller, nil
}

func global(service string) bool {
	return service == "iam" || service == "sts" || service == "cloudtrail"
}

func (s *Signature) timely(now time.Time) error {
	before, after := maxSkew, maxSkew
	if s.Presigned {
		after = s.Lifetime
	}
	at, stamp := s.Time.Format(amzTime), now.UTC().Format(amzTime)
	switch {
	case now.After(s.Time.Add(after)):
		return &SignatureError{Stale, "Signature expired: " + at + " is now earlier than " + now.UTC().Add(-after).Format(amzTime) + " (" + stamp + " - " + after.String() + ")"}
	case now.Before(s.Time.Add(-before)):
		return &SignatureError{Stale, "Signature not yet current: " + at + " is still later than " + now.UTC().Add(before).Format(amzTime) + " (" + stamp + " + " + before.String() + ")"}
	}
	return nil
}

func payloadHash(r *http.Request, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	computed := hex.EncodeToString(sum[:])
	switch claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed {
	case "", computed:
		return computed, nil
	case "UNSIGNED-PAYLOAD":
		return claimed, nil
	default:
		return "", &SignatureError{Mismatch, "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
}

func canonicalRequest(r *http.Request, s *Signature, payload string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(path, true) + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range s.SignedHeaders {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.SignedHeaders, ";") + "\n" + payload)
	return b.String()
}

func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10) // net/http takes it out of the header
	}
	values := r.Header.Values(name)
	clean := make([]string, 0, len(values))
	for _, v := range values {
		clean = append(clean, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(clean, ",")
}

func canonicalQuery(q url.Values) string {
	pairs := make([]string, 0, len(q))
	for name, values := range q {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is SigV4's UriEncode: everything but unreserved characters, with upper-case hex.
func escape(s string, keepSlash bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func sign(secret string, s *Signature, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.Date, s.Region, s.Service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, s.Time.Format(amzTime), scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}
