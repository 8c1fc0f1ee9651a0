package main

// What the commands say that open cases to courts, and of reading what others deposited.
var (
	sayFlagTenant = phrase{"`id` of the tenant whose deposits are read, for an auditor or a court (default $MUNIMENT_TENANT)", "审计方或法院所查阅的租户编号 `id`（默认 $MUNIMENT_TENANT）"}
	sayFlagLink   = phrase{"`link` that opens a case or a deposit, in the place of an API key; or the page's address with it behind # (default $MUNIMENT_LINK, which other users of the machine cannot see)", "用以查阅案卷或存证的链接 `link`，代替 API 密钥；也可为 # 之后带有链接的网页地址（默认 $MUNIMENT_LINK；本机其他用户看不到该变量）"}
	sayKeyOrLink  = phrase{"give an API key or a link, not both", "请给出 API 密钥或链接之一，不要同时给出"}
	sayNoLink     = phrase{"that is no link: it begins with mnl_", "这不是链接：链接以 mnl_ 开头"}

	sayLinkOfDeposit = phrase{"the link opens the deposit %s alone: muniment receipt %s --link fetches its receipt", "该链接只开放存证 %s：请用 muniment receipt %s --link 取得其回执"}

	sayGrantShort = phrase{"Open a case to a court, or make a link to it", "向法院开放案卷，或生成查阅链接"}
	sayGrantLong  = phrase{
		`Let a court read all deposits of a contract, or with --deposit one of them, for --days. With
--to it is every caller of the role court of that tenant; the court names your tenant, which
the answer shows, with --tenant. With --anyone-with-link it is whoever has the link, which is shown
for you to pass on by a safe way, and holds for 366 days at most.

It is an entry of the log with a receipt of its own, so that it is proved who could read
what when. For API keys of the role compliance. muniment case revoke ends it.

Exit code 0: it is open. 1: the receipt must not be believed. 2: anything else.`,
		`在 --days 天内，允许法院查阅一份合同的全部存证；使用 --deposit 时只开放其中一项。用 --to 指明
法院时，该租户所有 court 角色的调用者均可查阅；法院须用 --tenant 指明贵方租户，编号见输出。使用
--anyone-with-link 时，任何持有链接者均可查阅；链接会显示出来，请以安全方式转交，最长有效 366 天。

该记载是日志中的一个条目，有自己的回执，可证明何人何时可以查阅何内容。须使用 compliance 角色的
API 密钥。muniment case revoke 可予撤销。

退出码 0：已开放。1：回执不可采信。2：其他情况。`,
	}
	sayGrantsShort = phrase{"List to whom cases and deposits are open", "列出案卷与存证向何人开放"}
	sayGrantsLong  = phrase{
		`List all grants of a contract, of a deposit with --deposit, or of your tenant. A court sees
those that are its own, with --tenant; who has a link sees what it opens.`,
		`列出一份合同的全部开放记载；使用 --deposit 时为一项存证的，否则为贵方的全部。法院用 --tenant
查看向其开放者；持链接者查看该链接所开放者。`,
	}
	sayRevokeShort = phrase{"Shut what was opened", "撤销开放"}
	sayRevokeLong  = phrase{
		`From the entry of the revocation on, nothing is read by the grant. What was read before
cannot be taken back. For API keys of the role compliance.

Exit code 0: it is revoked. 1: the receipt must not be believed. 2: anything else.`,
		`自撤销条目起，不得再凭该记载查阅。此前已查阅的内容无法收回。须使用 compliance 角色的 API 密钥。

退出码 0：已撤销。1：回执不可采信。2：其他情况。`,
	}
	sayFlagGrantDeposit = phrase{"`id` of one deposit, in the place of a contract", "一项存证的编号 `id`，代替合同编号"}
	sayFlagTo           = phrase{"`id` of the court as a tenant", "法院作为租户的编号 `id`"}
	sayFlagAnyone       = phrase{"make a link, and open it to whoever has that", "生成链接，向持有链接者开放"}
	sayFlagDays         = phrase{"`days` until it ends (required)", "有效天数 `days`（必填）"}
	sayCaseOrDeposit    = phrase{"name one contract, or one deposit with --deposit", "请指明一份合同，或用 --deposit 指明一项存证"}
	sayToWhom           = phrase{"say to whom: --to COURT or --anyone-with-link", "请指明对象：--to COURT 或 --anyone-with-link"}
	sayHowLong          = phrase{"say for how long, with --days of 1 to %d", "请用 --days 指明有效天数，1 至 %d"}
	sayOneGrant         = phrase{"name one grant by its id; muniment case grants shows those there are", "请以编号指明一项开放记载；muniment case grants 可列出"}
	sayGiveLink         = phrase{
		"Whoever has the link reads what it opens: pass it on as you would a password, and not in an address that is logged. It is shown to the maker alone.",
		"任何持有该链接者均可查阅所开放的内容：请像密码一样转交，不要写进会被记录的网址。链接只向生成者显示。",
	}
	sayByLink        = phrase{"by link", "凭链接"}
	sayFactGrant     = phrase{"Grant", "开放记载"}
	sayFactTenant    = phrase{"Tenant", "租户"}
	sayFactOpened    = phrase{"Opens", "开放内容"}
	sayFactOpenUntil = phrase{"Until", "截止"}
	sayFactLink      = phrase{"Link", "链接"}
	sayHeadTo        = phrase{"To", "对象"}
)

// grantWords are the states of a grant.
var grantWords = map[string]phrase{
	"open":    {"open", "开放中"},
	"ended":   {"ended", "已到期"},
	"revoked": {"revoked", "已撤销"},
}
