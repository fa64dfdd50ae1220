//! Each parameter of this protocol with a request that uses it, for the tables of what is carried.

/// The parameter as documented, and the fields of a request that use it.
pub const SAMPLES: &[(&str, &str)] = &[
    (
        "contents[].parts[].text",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
    ),
    (
        "contents[].parts[].inlineData (image)",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}]"#,
    ),
    (
        "contents[].parts[].inlineData (audio)",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"UklGRgAA"}}]}]"#,
    ),
    (
        "contents[].parts[].inlineData (video)",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}]"#,
    ),
    (
        "contents[].parts[].inlineData (PDF)",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0x"}}]}]"#,
    ),
    (
        "contents[].parts[].inlineData (text)",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"text/plain","data":"aGVsbG8="}}]}]"#,
    ),
    (
        "contents[].parts[].fileData (URL)",
        r#""contents":[{"role":"user","parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/a.png"}}]}]"#,
    ),
    (
        "contents[].parts[].fileData (YouTube)",
        r#""contents":[{"role":"user","parts":[{"fileData":{"fileUri":"https://www.youtube.com/watch?v=9hE5-98ZeCg"}}]}]"#,
    ),
    (
        "contents[].parts[].fileData (Files API)",
        r#""contents":[{"role":"user","parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}]}]"#,
    ),
    (
        "contents[].parts[].thought",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"AAAA"},{"text":"hello"}]},{"role":"user","parts":[{"text":"go on"}]}]"#,
    ),
    (
        "contents[].parts[].functionCall",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"ok"}}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "contents[].parts[].functionResponse (error)",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"error":"no"}}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "contents[].parts[].functionResponse.parts",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"ok"},"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "contents[].parts[].functionResponse.willContinue",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"ok"},"willContinue":true}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "contents[].parts[].functionResponse.scheduling",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"ok"},"scheduling":"SILENT"}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "contents[].parts[].executableCode",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"executableCode":{"language":"PYTHON","code":"print(1)"}}]},{"role":"user","parts":[{"text":"go on"}]}]"#,
    ),
    (
        "contents[].parts[].codeExecutionResult",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}}]},{"role":"user","parts":[{"text":"go on"}]}]"#,
    ),
    (
        "contents[].parts[].toolCall",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"toolCall":{"toolType":"GOOGLE_SEARCH_WEB"}},{"text":"hello"}]},{"role":"user","parts":[{"text":"go on"}]}]"#,
    ),
    (
        "contents[].parts[].toolResponse",
        r#""contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"toolResponse":{"toolType":"GOOGLE_SEARCH_WEB"}},{"text":"hello"}]},{"role":"user","parts":[{"text":"go on"}]}]"#,
    ),
    (
        "contents[].parts[].videoMetadata",
        r#""contents":[{"role":"user","parts":[{"text":"hi","videoMetadata":{"fps":1}}]}]"#,
    ),
    (
        "contents[].parts[].mediaResolution",
        r#""contents":[{"role":"user","parts":[{"text":"hi","mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"}}]}]"#,
    ),
    (
        "contents[].parts[].partMetadata",
        r#""contents":[{"role":"user","parts":[{"text":"hi","partMetadata":{"a":1}}]}]"#,
    ),
    (
        "systemInstruction",
        r#""systemInstruction":{"parts":[{"text":"be brief"}]}"#,
    ),
    (
        "tools[].functionDeclarations",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}]}]"#,
    ),
    (
        "tools[].functionDeclarations[].parametersJsonSchema",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":{"type":"object","properties":{"a":{"type":"string"}}}}]}]"#,
    ),
    (
        "tools[].functionDeclarations[].response",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d","response":{"type":"STRING"}}]}]"#,
    ),
    (
        "tools[].functionDeclarations[].responseJsonSchema",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d","responseJsonSchema":{"type":"string"}}]}]"#,
    ),
    (
        "tools[].functionDeclarations[].behavior",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d","behavior":"BLOCKING"}]}]"#,
    ),
    ("tools[].googleSearch", r#""tools":[{"googleSearch":{}}]"#),
    (
        "tools[].googleSearch beside functions",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]},{"googleSearch":{}}]"#,
    ),
    (
        "tools[].googleSearch.timeRangeFilter",
        r#""tools":[{"googleSearch":{"timeRangeFilter":{"startTime":"2026-01-01T00:00:00Z","endTime":"2026-02-01T00:00:00Z"}}}]"#,
    ),
    (
        "tools[].googleSearch.excludeDomains",
        r#""tools":[{"googleSearch":{"excludeDomains":["example.com"]}}]"#,
    ),
    (
        "tools[].googleSearchRetrieval",
        r#""tools":[{"googleSearchRetrieval":{}}]"#,
    ),
    (
        "tools[].googleSearchRetrieval.dynamicRetrievalConfig",
        r#""tools":[{"googleSearchRetrieval":{"dynamicRetrievalConfig":{"mode":"MODE_DYNAMIC"}}}]"#,
    ),
    ("tools[].codeExecution", r#""tools":[{"codeExecution":{}}]"#),
    ("tools[].urlContext", r#""tools":[{"urlContext":{}}]"#),
    (
        "tools[].fileSearch",
        r#""tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/a"]}}]"#,
    ),
    (
        "tools[].computerUse",
        r#""tools":[{"computerUse":{"environment":"ENVIRONMENT_BROWSER"}}]"#,
    ),
    ("tools[].googleMaps", r#""tools":[{"googleMaps":{}}]"#),
    (
        "tools[].mcpServers",
        r#""tools":[{"mcpServers":[{"name":"a"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.mode (AUTO)",
        r#""toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.mode (ANY)",
        r#""toolConfig":{"functionCallingConfig":{"mode":"ANY"}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.mode (NONE)",
        r#""toolConfig":{"functionCallingConfig":{"mode":"NONE"}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.mode (VALIDATED)",
        r#""toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.allowedFunctionNames",
        r#""toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"},{"name":"g","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.allowedFunctionNames (several)",
        r#""toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"},{"name":"g","description":"d"},{"name":"h","description":"d"}]}]"#,
    ),
    (
        "toolConfig.functionCallingConfig.streamFunctionCallArguments",
        r#""toolConfig":{"functionCallingConfig":{"mode":"AUTO","streamFunctionCallArguments":true}},"tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}]"#,
    ),
    (
        "toolConfig.retrievalConfig",
        r#""toolConfig":{"retrievalConfig":{"languageCode":"en"}}"#,
    ),
    (
        "toolConfig.includeServerSideToolInvocations",
        r#""toolConfig":{"includeServerSideToolInvocations":true}"#,
    ),
    (
        "generationConfig.stopSequences",
        r#""generationConfig":{"stopSequences":["END"]}"#,
    ),
    (
        "generationConfig.temperature",
        r#""generationConfig":{"temperature":0.5}"#,
    ),
    (
        "generationConfig.topP",
        r#""generationConfig":{"topP":0.9}"#,
    ),
    ("generationConfig.topK", r#""generationConfig":{"topK":40}"#),
    (
        "generationConfig.maxOutputTokens",
        r#""generationConfig":{"maxOutputTokens":100}"#,
    ),
    (
        "generationConfig.candidateCount",
        r#""generationConfig":{"candidateCount":2}"#,
    ),
    ("generationConfig.seed", r#""generationConfig":{"seed":5}"#),
    (
        "generationConfig.presencePenalty",
        r#""generationConfig":{"presencePenalty":0.5}"#,
    ),
    (
        "generationConfig.frequencyPenalty",
        r#""generationConfig":{"frequencyPenalty":0.5}"#,
    ),
    (
        "generationConfig.responseLogprobs",
        r#""generationConfig":{"responseLogprobs":true}"#,
    ),
    (
        "generationConfig.logprobs",
        r#""generationConfig":{"responseLogprobs":true,"logprobs":3}"#,
    ),
    (
        "generationConfig.responseMimeType (application/json)",
        r#""generationConfig":{"responseMimeType":"application/json"}"#,
    ),
    (
        "generationConfig.responseMimeType (text/x.enum)",
        r#""generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a","b"]}}"#,
    ),
    (
        "generationConfig.responseSchema",
        r#""generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"a":{"type":"STRING"}},"required":["a"]}}"#,
    ),
    (
        "generationConfig.responseJsonSchema",
        r#""generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}"#,
    ),
    (
        "generationConfig.thinkingConfig.thinkingBudget",
        r#""generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}"#,
    ),
    (
        "generationConfig.thinkingConfig.thinkingBudget (0)",
        r#""generationConfig":{"thinkingConfig":{"thinkingBudget":0}}"#,
    ),
    (
        "generationConfig.thinkingConfig.thinkingBudget (-1)",
        r#""generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#,
    ),
    (
        "generationConfig.thinkingConfig.thinkingLevel",
        r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"}}"#,
    ),
    (
        "generationConfig.thinkingConfig.includeThoughts",
        r#""generationConfig":{"thinkingConfig":{"includeThoughts":true}}"#,
    ),
    (
        "generationConfig.responseModalities (IMAGE)",
        r#""generationConfig":{"responseModalities":["TEXT","IMAGE"]}"#,
    ),
    (
        "generationConfig.responseModalities (AUDIO)",
        r#""generationConfig":{"responseModalities":["AUDIO"]}"#,
    ),
    (
        "generationConfig.speechConfig.voiceConfig",
        r#""generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Kore"}}}}"#,
    ),
    (
        "generationConfig.speechConfig.multiSpeakerVoiceConfig",
        r#""generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{"multiSpeakerVoiceConfig":{"speakerVoiceConfigs":[]}}}"#,
    ),
    (
        "generationConfig.speechConfig.languageCode",
        r#""generationConfig":{"speechConfig":{"languageCode":"en-US"}}"#,
    ),
    (
        "generationConfig.imageConfig.aspectRatio",
        r#""generationConfig":{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"16:9"}}"#,
    ),
    (
        "generationConfig.imageConfig.imageSize",
        r#""generationConfig":{"responseModalities":["IMAGE"],"imageConfig":{"imageSize":"2K"}}"#,
    ),
    (
        "generationConfig.mediaResolution",
        r#""generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_LOW"}"#,
    ),
    (
        "generationConfig.enableEnhancedCivicAnswers",
        r#""generationConfig":{"enableEnhancedCivicAnswers":true}"#,
    ),
    (
        "generationConfig.responseFormat",
        r#""generationConfig":{"responseFormat":{"text":{}}}"#,
    ),
    (
        "safetySettings",
        r#""safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#,
    ),
    ("cachedContent", r#""cachedContent":"cachedContents/a""#),
    ("labels", r#""labels":{"a":"b"}"#),
    ("serviceTier", r#""serviceTier":"flex""#),
    ("store", r#""store":false"#),
];
