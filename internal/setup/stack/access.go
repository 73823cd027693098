package stack

// The kinds of IAM, and of what lends its identities.
const (
	KindPolicy          Kind = "policy"
	KindOIDCProvider    Kind = "OpenID Connect provider"
	KindTrustAnchor     Kind = "trust anchor"
	KindRole            Kind = "role"
	KindInstanceProfile Kind = "instance profile"
	KindPodIdentity     Kind = "pod identity"
	KindAnywhereProfile Kind = "Roles Anywhere profile"
	KindUser            Kind = "user"
	KindAccessKey       Kind = "access key"
)

// PolicyARN is the ARN of a policy of the stack.
func PolicyARN(name string) string { return ARN("iam", "", "policy/"+name) }

// RoleARN is the ARN of a role of the stack.
func RoleARN(name string) string { return ARN("iam", "", "role/"+name) }

// Policy is a managed policy of IAM.
type Policy struct {
	Name, Description string
	// Document is its JSON, canonical.
	Document string
	Tags     map[string]string
}

// ID implements Resource.
func (p *Policy) ID() ID { return ID{Kind: KindPolicy, Name: p.Name} }

// Part implements Resource.
func (*Policy) Part() string { return PartAccess }

// Attributes implements Resource.
func (p *Policy) Attributes() []Attribute {
	var a attributes
	a.fixed("description", p.Description)
	a.text("document", p.Document)
	a.pairs("tags", p.Tags)
	return a.sorted()
}

// OIDCProvider lets an issuer of tokens be trusted, such as GitHub Actions. An
// account has one for each issuer, which others may use too.
type OIDCProvider struct {
	// URL is that of the issuer, without https://.
	URL       string
	Audiences []string
	Tags      map[string]string
}

// ID implements Resource.
func (p *OIDCProvider) ID() ID { return ID{Kind: KindOIDCProvider, Name: p.URL} }

// Part implements Resource.
func (*OIDCProvider) Part() string { return PartAccess }

// Attributes implements Resource.
func (p *OIDCProvider) Attributes() []Attribute {
	var a attributes
	a.list("audiences", p.Audiences)
	a.pairs("tags", p.Tags)
	return a.sorted()
}

// TrustAnchor is a certificate authority that IAM Roles Anywhere trusts. Once made it
// has the value "arn".
type TrustAnchor struct {
	Region, Name string
	// Certificate is PEM.
	Certificate string
	Tags        map[string]string
}

// ID implements Resource.
func (t *TrustAnchor) ID() ID { return ID{KindTrustAnchor, t.Region, t.Name} }

// Part implements Resource.
func (*TrustAnchor) Part() string { return PartAccess }

// Attributes implements Resource.
func (t *TrustAnchor) Attributes() []Attribute {
	var a attributes
	a.text("certificate", t.Certificate)
	a.pairs("tags", t.Tags)
	return a.sorted()
}

// Role is a role of IAM that gapless runs as.
type Role struct {
	Name, Description string
	// Trust is the JSON of who may assume it, canonical.
	Trust string
	// Policies are ARNs of managed policies, of the stack and of AWS.
	Policies []string
	Tags     map[string]string
}

// ID implements Resource.
func (r *Role) ID() ID { return ID{Kind: KindRole, Name: r.Name} }

// Part implements Resource.
func (*Role) Part() string { return PartAccess }

// Attributes implements Resource.
func (r *Role) Attributes() []Attribute {
	var a attributes
	a.text("description", r.Description)
	a.text("trust", r.Trust)
	a.list("policies", r.Policies)
	a.pairs("tags", r.Tags)
	return a.sorted()
}

// InstanceProfile hands a role to instances of EC2.
type InstanceProfile struct {
	Name, Role string
	Tags       map[string]string
}

// ID implements Resource.
func (p *InstanceProfile) ID() ID { return ID{Kind: KindInstanceProfile, Name: p.Name} }

// Part implements Resource.
func (*InstanceProfile) Part() string { return PartAccess }

// Attributes implements Resource.
func (p *InstanceProfile) Attributes() []Attribute {
	var a attributes
	a.text("role", p.Role)
	a.pairs("tags", p.Tags)
	return a.sorted()
}

// PodIdentity hands a role to the pods of a service account of EKS.
type PodIdentity struct {
	Region, Cluster, Namespace, ServiceAccount string
	// Role is its ARN.
	Role string
	Tags map[string]string
}

// ID implements Resource.
func (p *PodIdentity) ID() ID {
	return ID{KindPodIdentity, p.Region, p.Cluster + "/" + p.Namespace + "/" + p.ServiceAccount}
}

// Part implements Resource.
func (*PodIdentity) Part() string { return PartAccess }

// Attributes implements Resource.
func (p *PodIdentity) Attributes() []Attribute {
	var a attributes
	a.text("role", p.Role)
	a.pairs("tags", p.Tags)
	return a.sorted()
}

// AnywhereProfile says which roles IAM Roles Anywhere hands out. Once made it has the
// value "arn".
type AnywhereProfile struct {
	Region, Name string
	// Roles are ARNs.
	Roles []string
	// SessionSeconds is how long credentials last, 900 to 43,200.
	SessionSeconds int
	Tags           map[string]string
}

// ID implements Resource.
func (p *AnywhereProfile) ID() ID { return ID{KindAnywhereProfile, p.Region, p.Name} }

// Part implements Resource.
func (*AnywhereProfile) Part() string { return PartAccess }

// Attributes implements Resource.
func (p *AnywhereProfile) Attributes() []Attribute {
	var a attributes
	a.list("roles", p.Roles)
	a.number("session_seconds", p.SessionSeconds)
	a.pairs("tags", p.Tags)
	return a.sorted()
}

// User is a user of IAM, for where nothing better can be had.
type User struct {
	Name string
	// Policies are ARNs of managed policies.
	Policies []string
	Tags     map[string]string
}

// ID implements Resource.
func (u *User) ID() ID { return ID{Kind: KindUser, Name: u.Name} }

// Part implements Resource.
func (*User) Part() string { return PartAccess }

// Attributes implements Resource.
func (u *User) Attributes() []Attribute {
	var a attributes
	a.list("policies", u.Policies)
	a.pairs("tags", u.Tags)
	return a.sorted()
}

// AccessKey is the access key of a user. Once made it has the values "id" and
// "secret", of which AWS tells the second once.
type AccessKey struct{ User string }

// ID implements Resource.
func (k *AccessKey) ID() ID { return ID{Kind: KindAccessKey, Name: k.User} }

// Part implements Resource.
func (*AccessKey) Part() string { return PartAccess }

// Attributes implements Resource.
func (*AccessKey) Attributes() []Attribute { return nil }
