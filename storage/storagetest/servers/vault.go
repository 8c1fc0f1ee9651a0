package servers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

// vaultVersion is what `make deps` builds; it is never linked in.
const vaultVersion = "v1.13.1"

// Vault is a HashiCorp Vault with a Transit engine, in a process of its own on a port of
// 127.0.0.1: all that it keeps is in its memory.
type Vault struct {
	URL  string
	Root string // the root token

	process *exec.Cmd
	exited  chan struct{}
}

// StartVault starts a server with the engine at transit, and a key of that name in it. Who is
// done calls Kill; at the latest it ends with this process.
func StartVault(key string) (*Vault, error) {
	binary, err := cached("vault-" + vaultVersion)
	if err != nil {
		return nil, err
	}
	p := exec.Command(binary)
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	v := &Vault{process: p}
	if v.exited, err = launch(p); err != nil {
		return nil, fmt.Errorf("servers: start %s: %w", binary, err)
	}
	late := time.AfterFunc(time.Minute, v.Kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	late.Stop()
	words := strings.Fields(line)
	if err != nil || len(words) != 2 {
		v.Kill()
		return nil, fmt.Errorf("servers: vault says %q: %w", line, err)
	}
	v.URL, v.Root = words[0], words[1]
	err = v.Ask(http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	if err == nil {
		err = v.Ask(http.MethodPost, "transit/keys/"+key, map[string]any{"type": "aes256-gcm96"}, nil)
	}
	if err != nil {
		v.Kill()
		return nil, err
	}
	return v, nil
}

// Ask makes one request as root.
func (v *Vault) Ask(method, path string, body, answer any) error {
	return v.ask(v.Root, method, path, body, answer)
}

func (v *Vault) ask(token, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, v.URL+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return errors.Join(err, fmt.Errorf("servers: vault: %s %s: %s %s", method, path, resp.Status, said))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// Token makes a token that may encrypt and decrypt with that key, and nothing else.
func (v *Vault) Token(key string) (string, error) {
	policy := fmt.Sprintf("path \"transit/encrypt/%s\" { capabilities = [\"update\"] }\npath \"transit/decrypt/%[1]s\" { capabilities = [\"update\"] }\n", key)
	if err := v.Ask(http.MethodPut, "sys/policies/acl/muniment", map[string]any{"policy": policy}, nil); err != nil {
		return "", err
	}
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	err := v.Ask(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"muniment"}}, &made)
	return made.Auth.Token, err
}

// Issuer makes the server an OpenID Connect issuer for that audience, and returns its URL. Its
// tokens end after ten minutes.
func (v *Vault) Issuer(audience string) (string, error) {
	err := v.Ask(http.MethodPost, "identity/oidc/key/"+audience, map[string]any{"algorithm": "ES256", "allowed_client_ids": []string{"*"}, "verification_ttl": "1h"}, nil)
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"identity/oidc/role/" + audience, map[string]any{"key": audience, "client_id": audience, "ttl": "10m", "template": `{"role": {{identity.entity.metadata.role}}}`}},
		{"sys/policies/acl/people", map[string]any{"policy": "path \"identity/oidc/token/*\" { capabilities = [\"read\"] }"}},
		{"auth/token/roles/people", map[string]any{"allowed_entity_aliases": []string{"*"}, "allowed_policies": []string{"people"}}},
	} {
		if err == nil {
			err = v.Ask(http.MethodPost, step.path, step.body, nil)
		}
	}
	return v.URL + "/v1/identity/oidc", err
}

// Person makes somebody whose tokens of the issuer have that claim role, and returns with what
// the server is asked for them.
func (v *Vault) Person(name, role string) (string, error) {
	var auth struct {
		Data map[string]struct {
			Accessor string `json:"accessor"`
		} `json:"data"`
	}
	if err := v.Ask(http.MethodGet, "sys/auth", nil, &auth); err != nil {
		return "", err
	}
	var entity struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err := v.Ask(http.MethodPost, "identity/entity", map[string]any{"name": name, "metadata": map[string]string{"role": role}}, &entity)
	if err == nil {
		err = v.Ask(http.MethodPost, "identity/entity-alias", map[string]any{"name": name, "canonical_id": entity.Data.ID, "mount_accessor": auth.Data["token/"].Accessor}, nil)
	}
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	if err == nil {
		err = v.Ask(http.MethodPost, "auth/token/create/people", map[string]any{"entity_alias": name, "policies": []string{"people"}}, &made)
	}
	return made.Auth.Token, err
}

// IDToken is a token of the issuer for a person.
func (v *Vault) IDToken(person, audience string) (string, error) {
	var made struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	err := v.ask(person, http.MethodGet, "identity/oidc/token/"+audience, nil, &made)
	return made.Data.Token, err
}

// Provider makes the server one at which people sign in to a client, by the authorization code
// flow, and returns its URL, and the client's id and secret. Its issuer must have been made.
func (v *Vault) Provider(audience, redirect string) (issuer, id, secret string, err error) {
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"identity/oidc/scope/profile", map[string]any{"template": `{"role": {{identity.entity.metadata.role}}, "name": {{identity.entity.name}}}`}},
		{"identity/oidc/client/console", map[string]any{"key": audience, "redirect_uris": []string{redirect}, "assignments": []string{"allow_all"}, "id_token_ttl": "10m", "access_token_ttl": "10m"}},
		{"identity/oidc/provider/people", map[string]any{"allowed_client_ids": []string{"*"}, "scopes_supported": []string{"profile"}, "issuer": v.URL}},
		{"sys/policies/acl/people", map[string]any{"policy": "path \"identity/oidc/*\" { capabilities = [\"read\"] }"}},
	} {
		if err == nil {
			err = v.Ask(http.MethodPost, step.path, step.body, nil)
		}
	}
	var client struct {
		Data struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"data"`
	}
	if err == nil {
		err = v.Ask(http.MethodGet, "identity/oidc/client/console", nil, &client)
	}
	return v.URL + "/v1/identity/oidc/provider/people", client.Data.ID, client.Data.Secret, err
}

// SignIn does what a person does at the provider whom a client has sent there, and returns what the browser
// brings back to the client.
func (v *Vault) SignIn(person, location string) (url.Values, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, err
	}
	var answer struct{ Code, State string }
	if err := v.ask(person, http.MethodGet, "identity/oidc/provider/people/authorize?"+u.RawQuery, nil, &answer); err != nil {
		return nil, err
	}
	return url.Values{"code": {answer.Code}, "state": {answer.State}}, nil
}

// Kill ends the server as a crash would, and waits for its end.
func (v *Vault) Kill() {
	_ = v.process.Process.Kill() // it may have ended
	<-v.exited
}
