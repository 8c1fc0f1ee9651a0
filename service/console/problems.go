package console

// What the API refuses with, for people at a page.
var problems = map[string]said{
	"malformed-json":           {"请求无法读取。", "The request cannot be read."},
	"malformed-multipart":      {"上传的内容无法读取。", "The upload cannot be read."},
	"malformed-batch":          {"批量内容无法读取。", "The batch cannot be read."},
	"idempotency-key-required": {"请求缺少幂等键。", "The request lacks its idempotency key."},
	"truncated-upload":         {"上传中断，没有存证。", "The upload broke off. Nothing was deposited."},
	"content-digest":           {"收到的内容与其摘要不符。", "What came does not match its digest."},
	"unauthorized":             {"登录已失效，请重新登录。", "You are signed out. Sign in again."},
	"forbidden":                {"您的角色不允许此操作。", "Your role does not allow this."},
	"not-found":                {"没有找到，或不对您开放。", "There is no such thing, or it is not open to you."},
	"quota-exceeded":           {"本月的存证限额已用完。", "This month's quota is used up."},
	"not-held":                 {"存证机构没有保存此文件的原件。", "The depository never had the document itself."},
	"not-stamped":              {"尚无时间戳覆盖此项存证，请稍后再取证据记录。", "No time-stamp covers this deposit yet. Come back for the evidence record later."},
	"method-not-allowed":       {"此处不能这样操作。", "This cannot be done here."},
	"timeout":                  {"等待时间过长，连接已中断。", "It took too long, and was broken off."},
	"kept":                     {"此项存证必须保存：保全中，或保存期未满。", "The deposit must be kept: it is under a hold, or its term has not ended."},
	"not-held-under-matter":    {"此项存证没有以该事由保全。", "The deposit is not held under this matter."},
	"erased":                   {"此项存证已依法删除。", "The deposit was lawfully erased."},
	"too-large":                {"内容过大。", "It is too large."},
	"unsupported-media-type":   {"此类内容不能接受。", "This sort of content is not taken."},
	"range-not-satisfiable":    {"所请求的范围不存在。", "There is no such range."},
	"invalid-record":           {"描述的内容有误，没有存证。", "The record cannot be deposited."},
	"invalid-search":           {"检索条件有误。", "The search cannot be done as it stands."},
	"invalid-batch":            {"批量内容有误。", "The batch is wrong."},
	"invalid-verification":     {"核验请求有误。", "The verification cannot be done as it stands."},
	"invalid-webhook":          {"通知订阅有误。", "The webhook is wrong."},
	"invalid-assurance":        {"所要求的保障级别有误。", "There is no such assurance."},
	"invalid-grant":            {"开放的内容有误：请检查法院编号、截止日期和理由。", "It cannot be opened like this: look at the court's id, the date and the reason."},
	"invalid-account":          {"账户内容有误。", "The account is wrong."},
	"not-confirmable":          {"不能由您确认：须由另一人确认，且未过期。", "You cannot confirm this: another must, and in time."},
	"pre-check":                {"不符合本机构的存证规则，没有存证。", "It does not meet your organisation's own rules. Nothing was deposited."},
	"digest-mismatch":          {"文件与所填写的摘要不符，没有存证。", "The document does not match the digest given. Nothing was deposited."},
	"idempotency-key-reused":   {"此表单已用于其他内容，请刷新页面后重试。", "This form was used for something else. Load the page again."},
	"rate-limited":             {"请求过于频繁，请稍后再试。", "Too many requests. Wait a moment."},
	"bundle-under-way":         {"您正在下载另一个案卷包，请待其完成。", "You are downloading another bundle. Wait until it is done."},
	"case-too-large":           {"案卷过大，不能合为一个案卷包。", "The case is too large for one bundle."},
	"internal":                 {"程序出现故障，请告知运营者。", "Something is broken. Tell the operator."},
	"damaged":                  {"存储的数据已损坏，请告知运营者。", "Stored data is damaged. Tell the operator."},
	"busy":                     {"系统繁忙，请稍后再试。", "The depository is busy. Wait a moment."},
	"backlog":                  {"积压过多，暂不接受存证。", "Too much is waiting; nothing is taken for the moment."},
	"clock":                    {"存证机构的时钟有误，暂不接受存证。", "The depository's clock is wrong; nothing is taken for the moment."},
	"trail-unavailable":        {"操作记录无法写入，暂不提供任何私有内容。", "The trail cannot be written, so nothing private is given out."},
	"unavailable":              {"存储暂不可用，请稍后再试。", "Storage is unavailable. Try again in a moment."},
	"sealing-delayed":          {"已载入日志，回执稍后出具；请用原表单重试。", "It stands in the log; its receipt will follow. Send the same form again."},
	"witness-quorum":           {"见证方不足，暂不能出具。", "Witnesses are missing for the moment."},
	"second-opinion":           {"独立复核没有应答，暂停封存。", "The second opinion is missing; nothing is sealed for the moment."},
	"signing":                  {"暂不能签名。", "It cannot be signed for the moment."},
	"stopping":                 {"存证机构正在停机，请稍后再试。", "The depository is stopping. Try again in a moment."},
	"insufficient-storage":     {"存储空间不足。", "Storage is full."},
}

func init() {
	for name, s := range problems {
		words["problem."+name] = s
	}
}
